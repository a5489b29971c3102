import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RedisStore } from '../../../src/stores/redis/index.js'
import { LIBRARIES, missingRedis, RedisStores } from '../../support/redis/clients.js'
import { newOperation } from '../../support/redis/operations.js'

const missing = await missingRedis()
const LEASE = { olderThanMs: 0, leaseMs: 60_000, limit: 700 }
/** More than one lease looks at. */
const COUNT = 4500

describe.skipIf(missing)(`requests with one key, in Redis${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let stores: RedisStores
  let store: RedisStore
  beforeEach(async () => {
    stores = new RedisStores(LIBRARIES['ioredis'])
    store = await stores.open()
  })
  afterEach(() => stores.close())

  /** Unpublished operations with a key, the oldest first. */
  async function fill(key: string, count: number): Promise<string[]> {
    const inits = Array.from({ length: count }, () => {
      const init = newOperation()
      return { ...init, request: { ...init.request, key } }
    })
    await Promise.all(inits.map((init) => store.create(init)))
    return inits.map(({ id }) => id)
  }

  /** Lends and marks until all of them have been lent; tells in which order. */
  async function drain(count: number): Promise<string[]> {
    const lent: string[] = []
    for (let turn = 0; lent.length < count && turn < 100; turn += 1) {
      const { token, operations } = await store.leaseUnpublished(LEASE)
      const ids = operations.map(({ id }) => id)
      lent.push(...ids)
      await store.markPublished(ids, token)
    }
    return lent
  }

  it('do not overtake those that were passed over while an older one was lent', async () => {
    const ids = await fill('one', COUNT)
    const first = await store.leaseUnpublished({ ...LEASE, limit: 1 })
    expect((await store.leaseUnpublished(LEASE)).operations).toEqual([])
    await store.markPublished([ids[0] ?? ''], first.token)
    expect(await drain(COUNT - 1)).toEqual(ids.slice(1))
  })

  it('do not overtake one whose lease is over', async () => {
    const ids = await fill('one', COUNT)
    await store.leaseUnpublished({ ...LEASE, limit: 1, leaseMs: 200 })
    expect((await store.leaseUnpublished(LEASE)).operations).toEqual([])
    await sleep(250)
    expect(await drain(COUNT)).toEqual(ids)
  })

  it('do not hold up those of another key behind them', async () => {
    await fill('one', COUNT)
    const others = await fill('other', 3)
    await store.leaseUnpublished({ ...LEASE, limit: 1 })
    expect(await drain(3)).toEqual(others)
  })
})
