import pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { Store } from '../../../src/core/store.js'
import { encodeEvent, encodeHead } from '../../../src/stores/codec.js'
import { postgres } from '../../../src/stores/postgres/index.js'
import { atOnce, newOperation, resultOf } from '../../support/operations.js'
import { DATABASE_URL, openDatabase, whyNoServer } from '../../support/postgres.js'

const reason = await whyNoServer()
const OPERATIONS = 2_000

describe.skipIf(reason)(`the Postgres store with many rows${reason ? `, ${reason}` : ''}`, { timeout: 180_000 }, () => {
  const database = openDatabase()

  /** Blocks that the server has touched in the tables of a prefix, which no other load on the machine changes. */
  async function blocksOf(prefix: string): Promise<number> {
    const text = `select coalesce(sum(coalesce(heap_blks_read, 0) + coalesce(heap_blks_hit, 0) + coalesce(idx_blks_read, 0)
      + coalesce(idx_blks_hit, 0)), 0)::float8 as blocks
      from pg_statio_user_tables where schemaname = $1 and starts_with(relname, $2)`
    const { rows } = await database.pool.query<{ blocks: number }>(text, [database.schema, prefix])
    return rows[0]?.blocks ?? 0
  }

  async function settledBlocksOf(prefix: string): Promise<number> {
    let last = -1
    // Each server process reports its counts when it ends.
    await expect
      .poll(
        async () => {
          const before = last
          last = await blocksOf(prefix)
          return last - before
        },
        { timeout: 20_000, interval: 700 },
      )
      .toBe(0)
    return last
  }

  /** Operations that ended long ago, and their records. */
  async function fill(prefix: string, rows: number): Promise<void> {
    const text = `insert into "${database.schema}"."${prefix}operations"
      (id, seq, command, state, version, published, created_at, updated_at, expires_at, retention_ms, purge_at, head,
        idempotency, result)
      select md5(n::text), n, 'Test::Asked', 'succeeded', 2, true, t - 7200000, t - 7000000, t + 80000000, 86400000,
        t + 82800000, $2, sha256(n::text::bytea), $3
      from generate_series(1, $1::int) n, (select floor(extract(epoch from now()) * 1000)::bigint as t) clock`
    const values = [rows, encodeHead(newOperation()), encodeEvent(resultOf('old').result)]
    // In a session that ends, so that its own work is reported before the measurement begins.
    const client = database.connect()
    await client.connect()
    await client.query(text, values)
    await client.end()
  }

  /** Blocks per operation, with relay and sweep beside, in sessions that have known the tables empty. */
  async function cost(rows: number): Promise<{ blocks: number; perSecond: number }> {
    const prefix = await database.prefix()
    const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 6 })
    const store = postgres({ client: pool, schema: database.schema, prefix })
    await store.start()
    for (let count = 0; count < 10; count += 1) await use(store, 6)
    await fill(prefix, rows)
    const before = await settledBlocksOf(prefix)
    const start = performance.now()
    for (let done = 0; done < OPERATIONS; done += 100) await use(store, 100)
    const perSecond = Math.round((OPERATIONS / (performance.now() - start)) * 1000)
    await store.close()
    await pool.end()
    return { blocks: ((await settledBlocksOf(prefix)) - before) / OPERATIONS, perSecond }
  }

  async function use(store: Store, count: number): Promise<void> {
    const made = await atOnce(count, () => {
      const init = newOperation()
      return store.create({ ...init, idempotency: { key: `key of ${init.id}`, fingerprint: 'f' } })
    })
    await Promise.all(made.map(({ operation: { id } }) => store.complete(id, resultOf(`of ${id}`))))
    await Promise.all(made.map(({ operation: { id } }) => store.get(id)))
    await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 1000, limit: 500 })
    await store.sweep(500)
    await store.purge(500)
  }

  it('an operation costs as much with 200,000 rows as with 1,000', async () => {
    const costs = { small: await cost(1_000), large: await cost(200_000) }
    process.stderr.write(`blocks per operation and operations a second: ${JSON.stringify(costs)}\n`)
    // Indexes are deeper by a level or two.
    expect(costs.large.blocks).toBeLessThan(costs.small.blocks * 1.6)
    expect(costs.small.blocks).toBeGreaterThan(1)
  })

  it('a lease takes no longer for all the keys that are lent already', async () => {
    const store = await database.store()
    await store.start()
    const { request } = newOperation()
    await atOnce(20_000, (n) => store.create(newOperation({ request: { ...request, key: `key-${n}` } })))
    const took: number[] = []
    for (let turn = 0; turn < 6; turn += 1) {
      const start = performance.now()
      const { operations } = await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 60_000, limit: 500 })
      took.push(Math.round(performance.now() - start))
      expect(operations).toHaveLength(500)
    }
    await store.close()
    process.stderr.write(`ms for each 500 of 20,000: ${took.join(', ')}\n`)
    // Before, each took half a second longer than the one before.
    expect(Math.max(...took.slice(1))).toBeLessThan((took[0] ?? 0) * 4 + 100)
  })
})
