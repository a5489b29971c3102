import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/core/store.js'
import { atOnce, newOperation } from '../../support/operations.js'
import { openDatabase, whyNoServer } from '../../support/postgres.js'

const reason = await whyNoServer()
const LEASE = { olderThanMs: 0, leaseMs: 60_000, limit: 700 }
/** More than one lease looks at. */
const COUNT = 4500

describe.skipIf(reason)(`requests with one key, in Postgres${reason ? `, ${reason}` : ''}`, () => {
  const database = openDatabase()
  let store: Store
  let table: (name: string) => string
  beforeEach(async () => {
    const prefix = await database.prefix()
    table = (name) => `"${database.schema}"."${prefix}${name}"`
    store = await database.store({ prefix })
    await store.start()
    return () => store.close()
  })

  /** Unpublished operations with a key, the oldest first, each in a batch of its own. */
  async function fill(key: string, count: number): Promise<string[]> {
    const { request } = newOperation()
    await atOnce(count, () => store.create(newOperation({ request: { ...request, key } })))
    await database.pool.query(`with gone as (delete from ${table('open')} returning created_at, due_at, ids)
      insert into ${table('open')} (created_at, due_at, ids)
      select gone.created_at, due_at, array[o.id] from gone join ${table('operations')} o on o.id = any(ids) order by seq`)
    const { rows } = await database.pool.query<{ id: string }>(
      `select id from ${table('operations')} where lane = $1 order by seq`,
      [JSON.stringify(key)],
    )
    expect(rows).toHaveLength(count)
    return rows.map(({ id }) => id)
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

  it('are forgotten as passed over once all has been looked at', async () => {
    await fill('one', COUNT)
    await store.leaseUnpublished({ ...LEASE, limit: 1 })
    for (const left of [true, true, false]) {
      await store.leaseUnpublished(LEASE)
      const { rows } = await database.pool.query(
        `select lease_cursor > 0 as is_left, lease_passed from ${table('control')}`,
      )
      expect(rows).toEqual([{ is_left: left, lease_passed: left ? ['"one"'] : [] }])
    }
  })
})
