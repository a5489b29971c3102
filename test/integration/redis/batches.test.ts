import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import type { IoredisClient } from '../../../src/stores/redis/index.js'
import { LIBRARIES, makeIoredis, missingRedis, REDIS_URL, RedisStores } from '../../support/redis/clients.js'
import { newOperation, resultOf } from '../../support/redis/operations.js'

const missing = await missingRedis()
const MIB = 1024 * 1024

/** Notes the sizes of the replies; fails the call of that number, if told so. */
function measured() {
  const client = makeIoredis().client as IoredisClient
  const sizes: number[] = []
  let left = Number.POSITIVE_INFINITY
  const measure = (found: unknown) => {
    sizes.push(
      JSON.stringify(found, (_, value) => (value?.type === 'Buffer' ? 'x'.repeat(value.data.length) : value)).length,
    )
    return found
  }
  const proxy = new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'call' && name !== 'callBuffer') return value.bind(target)
      return (...args: unknown[]) => {
        left -= 1
        if (left === 0) return Promise.reject(new Error('no'))
        return (value.apply(target, args) as Promise<unknown>).then(measure)
      }
    },
  })
  const failAt = (number: number) => {
    left = number
  }
  return { client: proxy, sizes, largest: () => Math.max(...sizes), failAt }
}

describe.skipIf(missing)(`batches of the Redis store${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const stores = new RedisStores()
  afterEach(() => stores.close())

  it('reads of what is large are answered in parts', async () => {
    const { client, largest } = measured()
    const store = await stores.open({ client })
    const inits = Array.from({ length: 14 }, () => {
      const init = newOperation()
      return { ...init, request: { ...init.request, body: Buffer.alloc(MIB, 'x') } }
    })
    await Promise.all(inits.map((init) => store.create(init)))
    const keys = inits.map(({ id }) => `record of ${id}`)
    await Promise.all(keys.map((key) => store.records.put({ key, value: Buffer.alloc(MIB, key) })))
    const ids = ['nobody', ...inits.map(({ id }) => id), 'nothing']
    const found = await Promise.all(ids.map((id) => store.get(id)))
    expect(found.map((one) => one?.id)).toEqual([undefined, ...inits.map(({ id }) => id), undefined])
    const records = await Promise.all(['none', ...keys].map((key) => store.records.get(key)))
    expect(records.map((one) => one?.value.byteLength)).toEqual([undefined, ...keys.map(() => MIB)])
    expect(largest()).toBeGreaterThan(3 * MIB)
    expect(largest()).toBeLessThan(8 * MIB)
    await store.close()
  }, 30_000)

  /** Operations with large request events, and what asks for each of them in few bytes. */
  async function openLarge() {
    const { client, largest, sizes, failAt } = measured()
    const store = await stores.open({ client })
    const again = Array.from({ length: 14 }, (_, index) =>
      newOperation({ idempotency: { key: `large ${index}`, fingerprint: 'f' } }),
    )
    const body = Buffer.alloc(MIB, 'x')
    const made = await Promise.all(
      again.map(({ idempotency, request }) =>
        store.create({ ...newOperation(), idempotency, request: { ...request, body } }),
      ),
    )
    sizes.length = 0
    return { store, again, ids: made.map(({ operation }) => operation.id), largest, failAt }
  }

  it('what finds, ends or changes something large is answered in parts', async () => {
    const { store, again, ids, largest } = await openLarge()
    const found = await Promise.all([...again, newOperation({ id: 'new' })].map((init) => store.create(init)))
    expect(found.map(({ created, operation }) => (created ? 'created' : operation.id))).toEqual([...ids, 'created'])
    const moved = await Promise.all(ids.map((id) => store.progress(id, newOperation().request)))
    expect(moved.map((one) => one?.version)).toEqual(ids.map(() => 2))
    const other = { state: 'failed', command: 'Other', error: { code: 'x', message: 'y' } } as const
    const ended = await Promise.all(ids.map((id) => store.complete(id, other as never)))
    expect(ended.map((one) => [one?.verdict, one?.operation.id])).toEqual(ids.map((id) => ['foreign', id]))
    expect(largest()).toBeGreaterThan(3 * MIB)
    expect(largest()).toBeLessThan(8 * MIB)
    await store.close()
  }, 30_000)

  it('what one part has done is no failure when the next one fails', async () => {
    const { store, again, failAt } = await openLarge()
    failAt(2)
    const settled = await Promise.allSettled([newOperation(), ...again].map((init) => store.create(init)))
    const statuses = settled.map(({ status }) => status)
    expect([statuses[0], statuses.at(-1)]).toEqual(['fulfilled', 'rejected'])
    expect(statuses).toEqual([...statuses].sort())
    await store.close()
  }, 30_000)
})

for (const [library, make] of Object.entries(LIBRARIES)) {
  const title = `one bad item of a batch in Redis, through ${library}${missing ? ` (skipped: ${missing})` : ''}`
  describe.skipIf(missing)(title, () => {
    const stores = new RedisStores(make)
    afterEach(() => stores.close())
    const BAD = { code: 'ERR_INVALID_INPUT', message: expect.stringContaining('something else in Redis') }

    /** Puts something else where the store has its own. */
    async function spoil(...keys: string[]): Promise<void> {
      const other = new Redis(REDIS_URL)
      for (const key of keys) {
        await other.del(stores.prefix + key)
        await other.sadd(stores.prefix + key, 'not ours')
      }
      other.disconnect()
    }

    /** Which of the calls have failed, as no others have. */
    async function failed(calls: readonly Promise<unknown>[], reason: object = BAD): Promise<number[]> {
      const settled = await Promise.allSettled(calls)
      for (const one of settled) if (one.status === 'rejected') expect(one.reason).toMatchObject(reason)
      return settled.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))
    }

    it('fails alone where its key has another type', async () => {
      const store = await stores.open()
      const inits = Array.from({ length: 20 }, (_, index) =>
        newOperation({ idempotency: { key: `key ${index}`, fingerprint: 'f' } }),
      )
      await spoil('idem:+key 7')
      expect(await failed(inits.map((init) => store.create(init)))).toEqual([7])
      const ids = inits.map(({ id }) => id)
      expect(await store.get(ids[7] ?? '')).toBeUndefined()
      await spoil(`op:${ids[9]}`)
      expect(await failed(ids.map((id) => store.get(id)))).toEqual([9])
      const { request } = newOperation()
      expect(await failed(ids.map((id) => store.progress(id, { ...request, id: `p ${id}` })))).toEqual([9])
      await expect(store.markPublished(ids)).rejects.toMatchObject(BAD)
      expect(await failed(ids.map((id) => store.complete(id, resultOf(`r ${id}`))))).toEqual([9])
      for (const id of ids.filter((_, index) => index !== 7 && index !== 9))
        expect(await store.get(id)).toMatchObject({ state: 'succeeded', result: { id: `r ${id}` } })
    })

    it('stops neither relay nor sweep', async () => {
      const store = await stores.open()
      const inits = Array.from({ length: 5 }, () => newOperation({ ttlMs: 1 }))
      const late = Array.from({ length: 5 }, () => newOperation())
      await Promise.all([...inits, ...late].map((init) => store.create(init)))
      await spoil(`op:${inits[0]?.id}`, `op:${late[0]?.id}`)
      const { operations } = await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 60_000, limit: 100 })
      expect(operations.map(({ id }) => id)).toEqual(late.slice(1).map(({ id }) => id))
      const expired = await store.sweep(100)
      expect(expired.map(({ id }) => id).sort()).toEqual(
        inits
          .slice(1)
          .map(({ id }) => id)
          .sort(),
      )
    })

    it('fails alone where its record is none', async () => {
      const store = await stores.open()
      const keys = ['a', 'b', 'c', 'd']
      await spoil('rec:c')
      expect(await failed(keys.map((key) => store.records.put({ key, value: Buffer.from(key) })))).toEqual([2])
      expect(await failed(keys.map((key) => store.records.get(key)))).toEqual([2])
      expect((await store.records.get('d'))?.value).toEqual(new Uint8Array(Buffer.from('d')))
    })

    it('an ending with such a record leaves everything as it was', async () => {
      const store = await stores.open()
      const init = newOperation()
      await store.create(init)
      await spoil('rec:b')
      const records = ['a', 'b', 'c'].map((key) => ({ key, value: Buffer.from(key) }))
      await expect(store.complete(init.id, resultOf('r'), records)).rejects.toMatchObject(BAD)
      expect((await store.get(init.id))?.state).toBe('running')
      expect(await store.records.get('a')).toBeUndefined()
      expect(await store.complete(init.id, resultOf('r'), [records[2] as never])).toMatchObject({ verdict: 'won' })
      expect((await store.records.get('c'))?.value).toEqual(new Uint8Array(Buffer.from('c')))
    })

    it('fails alone where it cannot be written down, or sent', async () => {
      const store = await stores.open()
      const inits = Array.from({ length: 5 }, () => newOperation())
      const request = { ...newOperation().request, headers: { one: 1n } }
      const unspeakable = [
        ...[
          { ...newOperation(), request },
          { ...newOperation(), request: undefined },
        ],
        { ...newOperation(), command: { toString: () => 'Do' } },
      ] as never[]
      const [first, ...rest] = inits
      const creates = [first, ...unspeakable, ...rest].map((init) => store.create(init as never))
      expect(await failed(creates, {})).toEqual([1, 2, 3])
      const puts = ['a', 5, undefined, 'b'].map((key) =>
        store.records.put({ key: key as never, value: Buffer.from('v') }),
      )
      expect(await failed(puts, {})).toEqual([1, 2])
      expect((await store.get(inits[4]?.id ?? ''))?.state).toBe('running')
    })
  })
}
