import { describe, expect, it } from 'vitest'
import type { Store } from '../../../src/core/store.js'
import { atOnce, newOperation, resultOf } from '../../support/operations.js'
import { openDatabase, whyNoServer } from '../../support/postgres.js'

const reason = await whyNoServer()

describe.skipIf(reason)(`two Postgres stores on one database${reason ? `, ${reason}` : ''}`, () => {
  const database = openDatabase({ max: 8 })

  async function withTwo(test: (stores: [Store, Store], prefix: string) => Promise<void>): Promise<void> {
    const prefix = await database.prefix()
    const [one, two] = [await database.store({ prefix }), await database.store({ prefix })]
    await Promise.all([one.start(), two.start()])
    try {
      await test([one, two], prefix)
    } finally {
      await Promise.all([one.close(), two.close()])
    }
  }

  it('FM-D5 FM-D11 of fifty endings at once one wins, and all tell the same story', () =>
    withTwo(async ([one, two]) => {
      for (let round = 0; round < 5; round += 1) {
        const { id } = newOperation()
        await one.create(newOperation({ id }))
        const all = await atOnce(50, (index) => (index % 2 ? one : two).complete(id, resultOf(`${id}-${index}`)))
        const winners = all.filter((settled) => settled?.verdict === 'won')
        expect(winners).toHaveLength(1)
        const first = winners[0]?.operation.result?.id
        expect(new Set(all.map((settled) => settled?.operation.result?.id))).toEqual(new Set([first]))
        expect((await two.get(id))?.result?.id).toBe(first)
        expect(all.every((settled) => settled?.verdict === 'won' || settled?.verdict === 'duplicate')).toBe(true)
      }
    }))

  it('two readers that bring the same results do not disturb each other', () =>
    withTwo(async ([one, two]) => {
      const ids = (await atOnce(200, () => one.create(newOperation()))).map(({ operation }) => operation.id)
      const bring = (store: Store, order: readonly string[]) =>
        Promise.all(order.map((id) => store.complete(id, resultOf(`result of ${id}`))))
      const all = await Promise.all([bring(one, ids), bring(two, [...ids].reverse())])
      const verdicts = all.flat().map((settled) => settled?.verdict)
      expect(verdicts.filter((verdict) => verdict === 'won')).toHaveLength(200)
      expect(verdicts.filter((verdict) => verdict === 'same')).toHaveLength(200)
    }))

  it('FM-D17 of fifty creates with one key at once one makes an operation', () =>
    withTwo(async ([one, two]) => {
      for (let round = 0; round < 5; round += 1) {
        const idempotency = { key: `key ${round}`, fingerprint: 'f' }
        const all = await atOnce(50, (index) => (index % 2 ? one : two).create(newOperation({ idempotency })))
        expect(all.filter(({ created }) => created)).toHaveLength(1)
        expect(new Set(all.map(({ operation }) => operation.id)).size).toBe(1)
      }
    }))

  it('creates with many keys in different orders all come through', () =>
    withTwo(async ([one, two]) => {
      const keys = Array.from({ length: 100 }, (_, index) => ({ key: `order ${index}`, fingerprint: 'f' }))
      const make = (store: Store, order: typeof keys) =>
        Promise.all(order.map((idempotency) => store.create(newOperation({ idempotency }))))
      const [a, b] = await Promise.all([make(one, keys), make(two, [...keys].reverse())])
      expect([...a, ...b].filter(({ created }) => created)).toHaveLength(100)
      const pairs = a.map(({ operation }, index) => [operation.id, b[99 - index]?.operation.id])
      expect(pairs.filter(([left, right]) => left !== right)).toEqual([])
    }))

  it('an operation whose key was released is not joined, whoever is how fast', () =>
    withTwo(async ([one, two]) => {
      const idempotency = { key: 'released', fingerprint: 'f' }
      for (let round = 0; round < 20; round += 1) {
        const { operation } = await one.create(newOperation({ idempotency }))
        const error = { code: 'ERR_PUBLISH_REJECTED', message: 'refused' } as const
        const [, next] = await Promise.all([
          one.complete(operation.id, { state: 'failed', error, releaseKey: true }),
          two.create(newOperation({ idempotency })),
        ])
        const holder = await two.create(newOperation({ idempotency }))
        if (next.created) expect(holder.operation.id).toBe(next.operation.id)
        else expect(next.operation.id).toBe(operation.id)
        await one.complete(holder.operation.id, { state: 'failed', error, releaseKey: true })
      }
    }))

  it('FM-B15 two relays lend each operation once, and keep the order of each key', () =>
    withTwo(async ([one, two]) => {
      const keyed = (key: string, n: number) => {
        const { request, ...operation } = newOperation({ id: `${key}-${String(n).padStart(3, '0')}` })
        return { ...operation, request: { ...request, key } }
      }
      for (let n = 0; n < 30; n += 1) await Promise.all(['a', 'b', 'c'].map((key) => one.create(keyed(key, n))))
      const published: string[] = []
      const relay = async (store: Store) => {
        for (let idle = 0; idle < 5; ) {
          const lease = await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 60_000, limit: 7 })
          const ids = lease.operations.map(({ id }) => id)
          published.push(...ids)
          for (const id of ids) await store.markPublished([id], lease.token)
          idle = ids.length === 0 ? idle + 1 : 0
        }
      }
      await Promise.all([relay(one), relay(two)])
      expect(new Set(published).size).toBe(90)
      expect(published).toHaveLength(90)
      for (const key of ['a', 'b', 'c']) {
        const order = published.filter((id) => id.startsWith(key))
        expect(order).toEqual([...order].sort())
      }
    }))

  it('FM-B15 a relay waits for the lease of another one, and lends nothing that would overtake it', () =>
    withTwo(async ([one, two], prefix) => {
      const keyed = (id: string, key: string) => {
        const { request, ...operation } = newOperation({ id })
        return { ...operation, request: { ...request, key } }
      }
      for (const [id, key] of ['a1 a', 'a2 a', 'b1 b'].map((pair) => pair.split(' ')))
        await one.create(keyed(id ?? '', key ?? ''))
      const client = await database.pool.connect()
      await client.query('begin')
      await client.query(`select "${database.schema}"."${prefix}lease"(0, 60000, 1)`)
      let isLent = false
      const lease = two.leaseUnpublished({ olderThanMs: 0, leaseMs: 60_000, limit: 10 }).finally(() => {
        isLent = true
      })
      const waits = "select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and query like $1"
      const count = async () => (await database.pool.query<{ n: number }>(waits, [`%${prefix}lease%`])).rows[0]?.n
      await expect.poll(count, { timeout: 10_000 }).toBe(1)
      expect(isLent).toBe(false)
      await client.query('commit')
      client.release()
      expect((await lease).operations.map(({ id }) => id)).toEqual(['b1'])
    }))

  it('a change by one store wakes a watcher of the other, ids of any length included', () =>
    withTwo(async ([one, two]) => {
      const heard = new Set<string>()
      await two.watch?.((id) => heard.add(id))
      const ids = Array.from({ length: 300 }, (_, index) => `${index}-${'x'.repeat(120)}`)
      await Promise.all(ids.map((id) => one.create(newOperation({ id }))))
      await Promise.all(ids.map((id) => one.complete(id, resultOf(`result of ${id}`))))
      await expect.poll(() => heard.size, { timeout: 10_000 }).toBe(300)
    }))

  it('a store that asks hears of the changes of another one, too', async () => {
    const prefix = await database.prefix()
    const { schema, pool } = database
    const { postgres } = await import('../../../src/stores/postgres/index.js')
    const asking = postgres({ client: pool, schema, prefix, pollMs: 20 })
    const other = await database.store({ prefix })
    await Promise.all([asking.start(), other.start()])
    const heard: string[] = []
    await asking.watch?.((id) => heard.push(id))
    const { operation } = await asking.create(newOperation())
    await other.complete(operation.id, resultOf('r'))
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual([operation.id])
    await Promise.all([asking.close(), other.close()])
  })
})
