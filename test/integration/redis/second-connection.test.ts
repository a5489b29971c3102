import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { redis } from '../../../src/stores/redis/index.js'
import { until } from '../../../src/testing/contract.js'
import { freshPrefix, LIBRARIES, missingRedis, REDIS_URL, RedisStores } from '../../support/redis/clients.js'
import { newOperation, resultOf } from '../../support/redis/operations.js'
import { missingServer, startRedis, tell } from '../../support/redis/own-server.js'

const missing = await missingRedis()

describe.skipIf(missing)(`a Redis that takes one connection${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let proxy: Server | undefined
  afterEach(() => void proxy?.close())

  /** A way to the server for the first connection alone. */
  async function openNarrowWay(): Promise<string> {
    const { hostname, port } = new URL(REDIS_URL)
    let count = 0
    proxy = createServer((socket) => {
      count += 1
      socket.on('error', () => {})
      if (count > 1) return void socket.destroy()
      const server = connect(Number(port || 6379), hostname).on('error', () => socket.destroy())
      socket.pipe(server).pipe(socket)
      socket.on('close', () => server.destroy())
      return undefined
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    return `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  }

  for (const [library, makeClient] of Object.entries(LIBRARIES)) {
    it(`is one clear error in time, which names the option, through ${library}`, async () => {
      const { client, end } = makeClient(await openNarrowWay())
      const store = redis({ client, prefix: freshPrefix(), connectTimeoutMs: 1000 })
      await store.start()
      await expect(store.watch?.(() => {})).rejects.toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
        message: expect.stringMatching(/^client: Redis takes no second connection, .*\(option client\)\.$/),
      })
      await store.close()
      end()
    })
  }
})

const noServer = missingServer()

describe.skipIf(noServer)(`a second connection that is lost${noServer ? ` (skipped: ${noServer})` : ''}`, () => {
  for (const [library, makeClient] of Object.entries(LIBRARIES)) {
    it(`what changed until it is back is told then, through ${library}`, async () => {
      const server = await startRedis()
      const stores = new RedisStores(makeClient, server.address)
      try {
        const [waiting, other] = [await stores.open(), await stores.open()]
        const heard: string[] = []
        await waiting.watch((id) => heard.push(id))
        const inits = [newOperation(), newOperation(), newOperation()] as const
        for (const init of inits) await waiting.create(init)
        const [before, meanwhile, after] = inits.map(({ id }) => id) as [string, string, string]
        await other.complete(before, resultOf('r'))
        await until(() => heard.length === 1)
        await tell(server.address, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
        await other.complete(meanwhile, resultOf('r'))
        await until(() => heard.includes(meanwhile))
        await other.complete(after, resultOf('r'))
        await until(() => heard.includes(after))
      } finally {
        await stores.close()
        await server.close()
      }
    })
  }
})
