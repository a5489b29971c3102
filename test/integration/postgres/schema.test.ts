import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { migrate, postgres, schemaSql } from '../../../src/stores/postgres/index.js'
import { atOnce, newOperation, resultOf } from '../../support/operations.js'
import { DATABASE_URL, openDatabase, whyNoServer } from '../../support/postgres.js'

const reason = await whyNoServer()

describe.skipIf(reason)(`the tables of the Postgres store${reason ? `, ${reason}` : ''}`, () => {
  const database = openDatabase({ max: 20 })
  const { schema, pool } = database

  it('twenty instances may migrate at once, and again', async () => {
    const prefix = 'race_'
    await atOnce(20, () => migrate(pool, { schema, prefix }))
    await migrate(pool, { schema, prefix })
    const { rows } = await pool.query(`select version, compatible from "${schema}"."${prefix}control"`)
    expect(rows).toEqual([{ version: 1, compatible: 1 }])
  })

  it('the printed SQL does the same, and twice no harm', async () => {
    const prefix = 'printed_'
    const sql = schemaSql({ schema, prefix })
    await pool.query(sql)
    await pool.query(sql)
    const store = postgres({ client: pool, schema, prefix })
    await store.start()
    await store.create(newOperation())
    await store.close()
  })

  it('a start without tables, or with older or newer ones, is refused and says what to do', async () => {
    const missing = postgres({ client: pool, schema, prefix: 'missing_' })
    await expect(missing.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('migrate('),
    })
    await expect(missing.get('x')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    const prefix = await database.prefix()
    const store = await database.store({ prefix })
    const set = (version: number, compatible: number) =>
      pool.query(`update "${schema}"."${prefix}control" set version = $1, compatible = $2`, [version, compatible])
    await set(0, 0)
    await expect(store.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('schemaSql'),
    })
    await set(2, 2)
    await expect(store.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('newer release'),
    })
    // A release that adds only what this one does not need leaves it working while both run.
    await set(2, 1)
    await store.start()
    await store.close()
  })

  it('a refused start can be repeated when the tables are there', async () => {
    const prefix = 'later_'
    const store = postgres({ client: pool, schema, prefix })
    await expect(store.start()).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await migrate(pool, { schema, prefix })
    await store.start()
    expect(await store.get('unknown')).toBeUndefined()
    await store.close()
  })

  it('names that would have to be quoted, and a client that is none, are refused at once', () => {
    for (const options of [
      { schema: '' },
      { schema: 'a"b' },
      { schema: 'A' },
      { prefix: "x'" },
      { prefix: 'x'.repeat(31) },
    ])
      expect(() => schemaSql(options), JSON.stringify(options)).toThrow(
        'ERR_CONFIG' in options ? '' : 'must be at most 30',
      )
    expect(() => postgres({ client: {} as never })).toThrow('query method')
  })

  it('durability says what the server gives', async () => {
    const prefix = await database.prefix()
    const durable = await database.store({ prefix })
    await durable.start()
    expect(durable.durability).toEqual({ class: 'durable' })
    await durable.close()
    const options = '-c synchronous_commit=off'
    const hasty = new pg.Pool({ connectionString: DATABASE_URL, max: 1, options })
    const store = postgres({ client: hasty, schema, prefix })
    await store.start()
    // Three times the delay of the WAL writer, which is 200 ms unless it was changed.
    expect(store.durability).toEqual({ class: 'durable', mayLoseMs: 600 })
    await store.close()
    await hasty.end()
  })

  it('the store needs no right but to use what is there', async () => {
    const prefix = await database.prefix()
    const role = `${schema}_role`
    await pool.query(`create role ${role} login`)
    const limited = new pg.Pool({ connectionString: DATABASE_URL, user: role, max: 2 })
    try {
      await pool.query(`grant usage on schema "${schema}" to ${role}`)
      await pool.query(`grant select, insert, update, delete on all tables in schema "${schema}" to ${role}`)
      await pool.query(`grant usage on all sequences in schema "${schema}" to ${role}`)
      const store = postgres({ client: limited, schema, prefix })
      await store.start()
      const { operation } = await store.create(newOperation())
      await store.complete(operation.id, resultOf('r'), [{ key: 'k', value: Buffer.from('v') }])
      await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 1, limit: 1 })
      await store.sweep(10)
      await store.purge(10)
      expect((await store.get(operation.id))?.state).toBe('succeeded')
      await store.close()
    } finally {
      await limited.end()
      await pool.query(`drop owned by ${role}`)
      await pool.query(`drop role ${role}`)
    }
  })

  it('sweeps and purges drop what has been kept long enough, and leave the list of open operations empty', async () => {
    const prefix = await database.prefix()
    const store = await database.store({ prefix })
    await store.start()
    const made = await atOnce(50, () => store.create(newOperation({ ttlMs: 60, retentionMs: 60 })))
    const [first] = made
    await store.complete(first?.operation.id ?? '', resultOf('r'))
    await store.records.put({ key: 'k', value: Buffer.from('v'), ttlMs: 60 })
    const rowsIn = async (table: string) => {
      const { rows } = await pool.query(`select count(*)::int as count from "${schema}"."${prefix}${table}"`)
      return rows[0]?.count as number
    }
    expect([await rowsIn('operations'), (await rowsIn('open')) > 0, await rowsIn('records')]).toEqual([50, true, 1])
    const expired: string[] = []
    await expect
      .poll(
        async () => {
          expired.push(...(await store.sweep(20)).map(({ id }) => id))
          await store.purge(20)
          return [await rowsIn('operations'), await rowsIn('open'), await rowsIn('records')]
        },
        { timeout: 10_000 },
      )
      .toEqual([0, 0, 0])
    expect(new Set(expired).size).toBe(49)
    expect(expired).toHaveLength(49)
    await store.close()
  })

  it('the relay takes batches off the list once all in them have ended or been published', async () => {
    const prefix = await database.prefix()
    const store = await database.store({ prefix })
    await store.start()
    const open = async () => {
      const { rows } = await pool.query(
        `select settled, cardinality(ids) as ids from "${schema}"."${prefix}open" order by batch`,
      )
      return rows
    }
    const [one, two] = await atOnce(2, () => store.create(newOperation()))
    const lease = () => store.leaseUnpublished({ olderThanMs: 0, leaseMs: 60_000, limit: 10 })
    expect((await lease()).operations).toHaveLength(2)
    expect(await open()).toEqual([{ settled: false, ids: 2 }])
    await store.complete(one?.operation.id ?? '', resultOf('r'))
    await store.markPublished([two?.operation.id ?? ''])
    await lease()
    expect(await open()).toEqual([{ settled: true, ids: 1 }])
    await store.close()
  })
})
