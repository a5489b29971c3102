import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RedisStore } from '../../../src/stores/redis/index.js'
import { makeIoredis, RedisStores } from '../../support/redis/clients.js'
import { newOperation, resultOf } from '../../support/redis/operations.js'
import { missingServer, startRedis, tell } from '../../support/redis/own-server.js'
import type { Server } from '../../support/servers/server.js'

const missing = missingServer()
const FEW = 1000
/** The long form is for a run by hand. */
const MANY = process.env.DEEP === '1' ? 200_000 : 30_000
const SAMPLE = 4000

describe.skipIf(missing)(`a Redis store that grows${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let server: Server
  let stores: RedisStores
  let store: RedisStore
  beforeAll(async () => {
    server = await startRedis({ appendfsync: 'no' })
    stores = new RedisStores(makeIoredis, server.address)
    store = await stores.open()
  })
  afterAll(async () => {
    await stores.close()
    await server.close()
  })

  /** Runs calls, so many at a time. */
  async function each(count: number, call: (index: number) => Promise<unknown>): Promise<void> {
    let next = 0
    const worker = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) await call(index)
    }
    await Promise.all(Array.from({ length: 512 }, worker))
  }

  /** Of the server, in microseconds: what others do on this machine counts less than in time that has passed. */
  async function cpu(): Promise<number> {
    const text = String(await tell(server.address, 'INFO', 'cpu'))
    const seconds = [...text.matchAll(/used_cpu_(?:user|sys):([\d.]+)/g)].map(([, value]) => Number(value))
    return seconds.reduce((sum, value) => sum + value, 0) * 1_000_000
  }

  /** What the server spends on one operation from its beginning to its end, with all that goes on beside. */
  async function cost(): Promise<number> {
    const before = await cpu()
    await each(SAMPLE, async () => {
      const init = newOperation({ idempotency: { key: `key ${Math.random()}`, fingerprint: 'f' } })
      await store.create(init)
      await store.complete(init.id, resultOf(`result of ${init.id}`))
      await store.get(init.id)
    })
    for (let round = 0; round < 20; round += 1) {
      await store.sweep(500)
      await store.purge(500)
      const { operations, token } = await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 1000, limit: 50 })
      await store.markPublished(
        operations.map(({ id }) => id),
        token,
      )
    }
    return ((await cpu()) - before) / SAMPLE
  }

  it('an operation costs the same among many as among few', { timeout: 180_000 }, async () => {
    // Every second one runs on, unpublished, so that everything grows.
    const fill = (count: number) =>
      each(count, async (index) => {
        const init = newOperation()
        await store.create(init)
        if (index % 2 === 0) await store.complete(init.id, resultOf(init.id))
      })
    await fill(FEW)
    await cost()
    const few = await cost()
    await fill(MANY - FEW)
    const many = await cost()
    process.stderr.write(`server: ${few.toFixed(0)} us an operation among ${FEW}, ${many.toFixed(0)} among ${MANY}\n`)
    expect(many).toBeLessThan(few * 1.6)
  })
})
