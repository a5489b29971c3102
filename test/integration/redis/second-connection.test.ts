import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { redis } from '../../../src/stores/redis/index.js'
import { freshPrefix, LIBRARIES, missingRedis, REDIS_URL } from '../../support/redis/clients.js'

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
