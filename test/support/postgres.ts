import { randomBytes } from 'node:crypto'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { migrate, type PostgresStoreOptions, postgres } from '../../src/stores/postgres/index.js'
import { sharedServer } from './servers/server-for.js'

const server = await sharedServer('postgres')

/** The server that the tests use; everything they make is in a schema of their own. */
export const DATABASE_URL = server.address

/** A schema of a test file on the server: what is in it goes with it. */
export interface TestDatabase {
  readonly pool: pg.Pool
  readonly schema: string
  connect(): pg.Client
  /** A prefix that nobody has, with tables. */
  prefix(): Promise<string>
  /** A store of its own, or with the given options one on the tables of another. */
  store(options?: Partial<PostgresStoreOptions>): Promise<ReturnType<typeof postgres>>
}

/** Why the tests that need a server cannot run, or undefined. */
export async function whyNoServer(): Promise<string | undefined> {
  return server.missing && `skipped: ${server.missing}`
}

/** Opens the server for a test file; to be called at its top level. */
export function openDatabase(options: { readonly max?: number } = {}): TestDatabase {
  const schema = `test_${randomBytes(6).toString('hex')}`
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: options.max ?? 6 })
  let count = 0
  const prefix = async () => {
    count += 1
    const name = `t${count}_`
    await migrate(pool, { schema, prefix: name })
    return name
  }
  const connect = () => new pg.Client({ connectionString: DATABASE_URL })
  const store: TestDatabase['store'] = async (given = {}) =>
    postgres({ client: pool, listen: connect, schema, prefix: given.prefix ?? (await prefix()), ...given })
  afterAll(async () => {
    // Table by table: one statement for all of them would take more locks than the server may have left.
    const { rows } = await pool.query<{ name: string }>(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1",
      [schema],
    )
    for (const { name } of rows) await pool.query(`drop table ${name} cascade`)
    await pool.query(`drop schema if exists "${schema}" cascade`)
    await pool.end()
  })
  return { pool, schema, connect, prefix, store }
}

/** A database inside this process, for a test file; its start keeps the process busy for a while. */
export function openPGlite(): { readonly client: () => PGlite; store(): Promise<ReturnType<typeof postgres>> } {
  let lite: PGlite | undefined
  let count = 0
  const client = () => {
    if (lite === undefined) throw new Error('PGlite is not open yet')
    return lite
  }
  beforeAll(async () => {
    lite = await PGlite.create()
  }, 120_000)
  afterAll(() => lite?.close())
  return {
    client,
    async store() {
      count += 1
      const prefix = `t${count}_`
      await migrate(client(), { prefix })
      return postgres({ client: client(), prefix })
    },
  }
}
