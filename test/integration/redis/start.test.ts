import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { IoredisClient } from '../../../src/stores/redis/index.js'
import { redis } from '../../../src/stores/redis/index.js'
import { readText } from '../../repo/files.js'
import { LIBRARIES, makeIoredis, RedisStores } from '../../support/redis/clients.js'
import { newOperation, resultOf } from '../../support/redis/operations.js'
import { missingServer, startRedis, tell } from '../../support/redis/own-server.js'
import type { Server } from '../../support/servers/server.js'

const missing = missingServer()

describe.skipIf(missing)(`the start of a Redis store${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let server: Server
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.close())

  const set = (name: string, value: string) => tell(server.address, 'CONFIG', 'SET', name, value)

  /** What a start finds; a new client each time. */
  async function start(make = makeIoredis, url = server.address) {
    const stores = new RedisStores(make, url)
    const store = stores.create({ connectTimeoutMs: 3000 })
    try {
      await store.start()
      const { durability, skippedChecks } = store
      await store.close()
      return { durability, skippedChecks }
    } finally {
      await stores.close()
    }
  }

  for (const [library, make] of Object.entries(LIBRARIES)) {
    it(`FM-D9 the log decides what a crash may cost, seen through ${library}`, async () => {
      expect((await start(make)).durability).toEqual({ class: 'durable' })
      await set('no-appendfsync-on-rewrite', 'yes')
      expect((await start(make)).durability).toEqual({ class: 'process' })
      await set('no-appendfsync-on-rewrite', 'no')
      await set('appendfsync', 'everysec')
      expect((await start(make)).durability).toEqual({ class: 'durable', mayLoseMs: 1000 })
      await set('appendfsync', 'no')
      expect((await start(make)).durability).toEqual({ class: 'process' })
      await set('appendonly', 'no')
      expect(await start(make)).toEqual({ durability: { class: 'process' }, skippedChecks: [] })
      await set('appendonly', 'yes')
      await set('appendfsync', 'always')
    })
  }

  it('FM-D10 a server that evicts is refused, with a limit of memory and without one', async () => {
    for (const policy of ['allkeys-lru', 'volatile-ttl']) {
      await set('maxmemory-policy', policy)
      for (const limit of ['0', '200mb']) {
        await set('maxmemory', limit)
        const refusal = { code: 'ERR_CONFIG', message: expect.stringMatching(`${policy}.*maxmemory-policy noeviction`) }
        await expect(start()).rejects.toMatchObject(refusal)
      }
    }
    await set('maxmemory-policy', 'noeviction')
    expect((await start()).durability.class).toBe('durable')
    await set('maxmemory', '0')
  })

  it('settings that this user may not read are skipped and named, and nothing is promised', async () => {
    await tell(server.address, 'ACL', 'SETUSER', 'plain', 'on', '>pw', '~*', '&*', '+@all', '-config')
    const url = server.address.replace('://', '://plain:pw@')
    for (const make of Object.values(LIBRARIES))
      expect(await start(make, url)).toEqual({
        durability: { class: 'process' },
        skippedChecks: ['CONFIG GET appendfsync'],
      })
    await tell(server.address, 'ACL', 'SETUSER', 'blind', 'on', '>pw', '~*', '&*', '+@all', '-config', '-info')
    const { skippedChecks } = await start(makeIoredis, server.address.replace('://', '://blind:pw@'))
    expect(skippedChecks).toEqual(['INFO', 'CONFIG GET maxmemory-policy', 'CONFIG GET appendonly'])
  })

  it('a user that may not subscribe hears of changes by polling', async () => {
    await tell(server.address, 'ACL', 'SETUSER', 'mute', 'on', '>pw', '~*', 'resetchannels', '+@all')
    const stores = new RedisStores(makeIoredis, server.address.replace('://', '://mute:pw@'))
    const store = await stores.open({ pollEveryMs: 10 })
    const stop = await store.watch(() => {})
    await stop()
    await store.close()
    await stores.close()
  })

  it('a user with the rights that the page names can do everything', async () => {
    const rights = readText('docs/stores.md').match(/`~<prefix>\* ([^`]+)`/)?.[0]
    for (const make of Object.values(LIBRARIES)) {
      const stores = new RedisStores(make, server.address.replace('://', '://page:pw@'))
      const given = String(rights).replaceAll('`', '').replaceAll('<prefix>', stores.prefix).split(' ')
      await tell(server.address, 'ACL', 'SETUSER', 'page', 'reset', 'on', '>pw', ...given)
      const store = await stores.open()
      expect([store.durability.class, store.skippedChecks]).toEqual(['durable', []])
      const heard: string[] = []
      await store.watch((id) => heard.push(id))
      const init = newOperation({ idempotency: { key: 'k', fingerprint: 'f' } })
      await store.create(init)
      await store.markPublished(
        [init.id],
        (await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 1, limit: 1 })).token,
      )
      const record = { key: 'r', value: Buffer.from('1'), ttlMs: 1000 }
      expect((await store.complete(init.id, resultOf('r'), [record]))?.verdict).toBe('won')
      expect(await store.records.list('')).toHaveLength(1)
      expect(await store.records.delete('r')).toBe(true)
      await store.sweep(10)
      await store.purge(10)
      await store.check()
      expect(heard).toEqual([init.id])
      await store.close()
      await stores.close()
    }
  })

  it('a replica is refused', async () => {
    await tell(server.address, 'REPLICAOF', '127.0.0.1', '1')
    await expect(start()).rejects.toMatchObject({ code: 'ERR_CONFIG', message: expect.stringMatching('primary') })
    await tell(server.address, 'REPLICAOF', 'NO', 'ONE')
  })

  it('a node of a cluster is refused, and a client of a cluster', { timeout: 60_000 }, async () => {
    const node = await startRedis({ 'cluster-enabled': 'yes' })
    const refusal = { code: 'ERR_CONFIG', message: expect.stringMatching(/Redis Cluster.*a Redis of its own/) }
    try {
      for (const make of Object.values(LIBRARIES))
        await expect(start(make, node.address)).rejects.toMatchObject(refusal)
    } finally {
      await node.close()
    }
    const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true })
    const client = cluster as unknown as IoredisClient
    expect(() => redis({ client })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }))
    cluster.disconnect()
  })

  for (const [library, make] of Object.entries(LIBRARIES)) {
    it(`one error within seconds says what cannot succeed, and names the option, through ${library}`, async () => {
      const silent = createServer(() => {}).listen(0, '127.0.0.1')
      await once(silent, 'listening')
      const { port } = silent.address() as AddressInfo
      await tell(server.address, 'ACL', 'SETUSER', 'somebody', 'on', '>pw', '~*', '&*', '+@all')
      const cases = [
        ['redis://127.0.0.1:1', 'ERR_STORE_UNAVAILABLE', /cannot be reached: .*ECONNREFUSED.*option client/],
        // EAI_AGAIN where there is no name server to ask.
        [
          'redis://no-such-host.invalid',
          'ERR_STORE_UNAVAILABLE',
          /cannot be reached: .*(ENOTFOUND|EAI_AGAIN).*option client/,
        ],
        [`redis://127.0.0.1:${port}`, 'ERR_STORE_UNAVAILABLE', /cannot be reached.*option client/],
        [server.address.replace('://', '://nobody:x@'), 'ERR_CONFIG', /refuses the user.*WRONGPASS.*option client/],
        [server.address.replace('://', '://somebody:no@'), 'ERR_CONFIG', /refuses the user.*WRONGPASS.*option client/],
        [
          server.address.replace('redis:', 'rediss:'),
          'ERR_STORE_UNAVAILABLE',
          /cannot be reached.*without TLS.*option client/,
        ],
        [`${server.address}/999`, 'ERR_CONFIG', /DB index is out of range.*option client/],
      ] as const
      try {
        for (const [url, code, text] of cases) {
          const from = performance.now()
          const message = expect.stringMatching(text)
          await expect(start(make, url), url).rejects.toMatchObject({ code, message })
          expect(performance.now() - from, url).toBeLessThan(4500)
        }
      } finally {
        silent.close()
      }
    }, 60_000)
  }
})
