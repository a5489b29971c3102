import type { RecordSpace, RecordWrite, StoredRecord } from '../../core/store.js'
import { BATCH_BYTES, GroupCommit, type GroupCommitOptions } from '../group-commit.js'
import type { Database } from './client.js'
import { type Names, NOW } from './names.js'
import { recordWritesSql, toRecordValues } from './record-writes.js'

interface RecordRow {
  readonly key: string
  readonly value: string
  readonly version: number
  /** How many records a page had before it was cut short. */
  readonly found?: number
}

interface Written {
  readonly key: string
  readonly version: number
}

const COLUMNS = "key, encode(value, 'base64') as value, version::float8 as version"
const IS_LIVE = `(expires_at is null or expires_at > ${NOW})`

/** The most records that one page of a list has when nobody says. */
const PAGE = 1_000

/** The versioned records, in a table of their own. */
export class PostgresRecords implements RecordSpace {
  readonly #db: Database
  readonly #names: Names
  readonly #writes: GroupCommit<RecordWrite, number | undefined>
  readonly #write: string

  constructor(db: Database, names: Names, group: Omit<GroupCommitOptions<never, never>, 'flush'>) {
    this.#db = db
    this.#names = names
    this.#writes = new GroupCommit({
      ...group,
      flush: (writes) => this.#flush(writes),
      bytesOf: ({ value }) => value.byteLength,
    })
    this.#write = `with t as materialized (select ${NOW} as at_ms)${recordWritesSql(names, '', '$1')}
      select key, version::float8 as version from written`
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    const text = `select ${COLUMNS} from ${this.#names.records} where ${IS_LIVE} and key = $1`
    const [row] = await this.#db.query<RecordRow>(text, [key])
    return row && toRecord(row)
  }

  async put(write: RecordWrite): Promise<number | undefined> {
    // Copied before anything waits, so that the caller can go on with its own.
    return this.#writes.run({ ...write, value: new Uint8Array(write.value) })
  }

  async delete(key: string, ifVersion?: number): Promise<boolean> {
    const text = `delete from ${this.#names.records} where key = $1 and ($2::bigint is null or version = $2::bigint)
      and ${IS_LIVE} returning key`
    return (await this.#db.query(text, [key, ifVersion ?? null])).length > 0
  }

  async list(prefix: string, { after = '', limit = Number.POSITIVE_INFINITY } = {}): Promise<readonly StoredRecord[]> {
    const pattern = `${prefix.replace(/[\\%_]/g, '\\$&')}%`
    const page = `select * from ${this.#names.records} where ${IS_LIVE} and key like $1 and key > $2 order by key limit $3`
    // As many as one answer may hold: the lengths are read without the values.
    const text = `select ${COLUMNS}, found::float8 as found from (
        select p.*, count(*) over () as found,
          sum(octet_length(value)) over (order by key) - octet_length(value) as bytes_before
        from (${page}) p
      ) sized where bytes_before < ${BATCH_BYTES} order by key`
    const found: StoredRecord[] = []
    for (let last = after; found.length < limit; ) {
      const most = Math.min(limit - found.length, PAGE)
      const rows = await this.#db.query<RecordRow>(text, [pattern, last, most])
      for (const row of rows) found.push(toRecord(row))
      const { found: all = 0 } = rows[0] ?? {}
      if (all < most && rows.length === all) break
      last = rows.at(-1)?.key ?? last
    }
    return found
  }

  /** One statement cannot write a row twice: a second write of a record goes into a second one. */
  async #flush(writes: readonly RecordWrite[]): Promise<readonly (number | undefined)[]> {
    const versions = new Map<RecordWrite, number | undefined>()
    for (let rest = writes; rest.length > 0; rest = rest.filter((write) => !versions.has(write))) {
      const batch = new Map<string, RecordWrite>()
      for (const write of rest) if (!batch.has(write.key)) batch.set(write.key, write)
      const input = JSON.stringify([...batch.values()].map(toRecordValues))
      const written = new Map(
        (await this.#db.query<Written>(this.#write, [input])).map(({ key, version }) => [key, version]),
      )
      for (const [key, write] of batch) versions.set(write, written.get(key))
    }
    return writes.map((write) => versions.get(write))
  }
}

function toRecord({ key, value, version }: RecordRow): StoredRecord {
  return { key, value: new Uint8Array(Buffer.from(value, 'base64')), version }
}
