import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { redis } from '../../../src/stores/redis/index.js'
import { until } from '../../../src/testing/contract.js'
import {
  freshPrefix,
  LIBRARIES,
  makeIoredis,
  missingRedis,
  REDIS_URL,
  RedisStores,
  removeKeys,
} from '../../support/redis/clients.js'
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

describe.skipIf(missing)(`a second connection that falls silent${missing ? ` (skipped: ${missing})` : ''}`, () => {
  /** A way to the server that carries nothing more on each connection but the first once it is told to. */
  async function openWay() {
    const { hostname, port } = new URL(REDIS_URL)
    const later: (() => void)[] = []
    const sockets = new Set<Socket>()
    const way = createServer((socket) => {
      const server = connect(Number(port || 6379), hostname)
      for (const end of [socket, server]) {
        sockets.add(end)
        end.on('error', () => {})
      }
      if (sockets.size > 2) later.push(() => void [socket.unpipe(), server.unpipe(), socket.pause(), server.pause()])
      socket.pipe(server).pipe(socket)
      socket.on('close', () => server.destroy())
    })
    way.listen(0, '127.0.0.1')
    await once(way, 'listening')
    return {
      address: `redis://127.0.0.1:${(way.address() as AddressInfo).port}`,
      silence: () => {
        for (const step of later.splice(0)) step()
      },
      close: () => {
        way.close()
        for (const socket of sockets) socket.destroy()
      },
    }
  }

  it('FM-D7 is replaced by another one, and what changed meanwhile is told then', async () => {
    const works = Object.entries(LIBRARIES).map(async ([library, makeClient]) => {
      const way = await openWay()
      const prefix = freshPrefix()
      const [watching, writing] = [makeClient(way.address), makeClient(REDIS_URL)]
      const [waiting, other] = [redis({ client: watching.client, prefix }), redis({ client: writing.client, prefix })]
      try {
        await Promise.all([waiting.start(), other.start()])
        const heard: string[] = []
        await waiting.watch?.((id) => heard.push(id))
        const inits = [newOperation(), newOperation()] as const
        for (const init of inits) await waiting.create(init)
        way.silence()
        await other.complete(inits[0].id, resultOf('r'))
        await until(() => heard.includes(inits[0].id), 20_000)
        await other.complete(inits[1].id, resultOf('r'))
        await until(() => heard.includes(inits[1].id), 2000)
        return library
      } finally {
        await Promise.all([waiting.close(), other.close()])
        for (const end of [watching.end, writing.end, way.close]) end()
        await removeKeys(prefix)
      }
    })
    expect(await Promise.all(works)).toEqual(Object.keys(LIBRARIES))
  }, 40_000)
})

describe.skipIf(missing)(`a log of changes that was not kept${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it.each([
    ['as nobody polled for too long', (prefix: string) => ['DEL', `${prefix}polled`]],
    ['as there was too much in it', (prefix: string) => ['XTRIM', `${prefix}log`, 'MAXLEN', '1']],
  ])('is made up for by asking: %s', async (_, forget) => {
    const prefix = freshPrefix()
    const { client, end } = makeIoredis(REDIS_URL)
    const store = redis({ client: Object.assign(client, { duplicate: undefined }), prefix, pollEveryMs: 300 })
    const writing = makeIoredis(REDIS_URL)
    const other = redis({ client: writing.client, prefix })
    await Promise.all([store.start(), other.start()])
    const heard: string[] = []
    await store.watch?.((id) => heard.push(id))
    const inits = [newOperation(), newOperation(), newOperation()] as const
    for (const init of inits) await store.create(init)
    const [first, second, third] = inits.map(({ id }) => id) as [string, string, string]
    await other.complete(first, resultOf('r'))
    await until(() => heard.includes(first))
    await tell(REDIS_URL, ...forget(prefix))
    for (const id of [second, third]) await other.complete(id, resultOf('r'))
    await tell(REDIS_URL, ...forget(prefix))
    await until(() => heard.includes(second) && heard.includes(third))
    await Promise.all([store.close(), other.close()])
    for (const close of [end, writing.end]) close()
    await removeKeys(prefix)
  })
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
