import type { RecordSpace, RecordWrite, StoredRecord } from '../../core/store.js'
import { GroupCommit, type GroupCommitOptions } from '../group-commit.js'
import type { Database } from './client.js'
import { type Names, NOW } from './names.js'
import { recordWritesSql, toRecordValues } from './record-writes.js'

interface RecordRow {
  readonly key: string
  readonly value: string
  readonly version: number
}

interface Written {
  readonly key: string
  readonly version: number
}

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
    const [row] = await this.#db.query<RecordRow>(`${this.#select()} and key = $1`, [key])
    return row && toRecord(row)
  }

  async put(write: RecordWrite): Promise<number | undefined> {
    // Copied before anything waits, so that the caller can go on with its own.
    return this.#writes.run({ ...write, value: new Uint8Array(write.value) })
  }

  async delete(key: string, ifVersion?: number): Promise<boolean> {
    const text = `delete from ${this.#names.records} where key = $1 and ($2::bigint is null or version = $2::bigint)
      and (expires_at is null or expires_at > ${NOW}) returning key`
    return (await this.#db.query(text, [key, ifVersion ?? null])).length > 0
  }

  async list(prefix: string, { after = '', limit = Number.POSITIVE_INFINITY } = {}): Promise<readonly StoredRecord[]> {
    const pattern = `${prefix.replace(/[\\%_]/g, '\\$&')}%`
    const text = `${this.#select()} and key like $1 and key > $2 order by key limit $3`
    const found: StoredRecord[] = []
    for (let last = after; found.length < limit; ) {
      const most = Math.min(limit - found.length, PAGE)
      const rows = await this.#db.query<RecordRow>(text, [pattern, last, most])
      for (const row of rows) found.push(toRecord(row))
      if (rows.length < most) break
      last = rows.at(-1)?.key ?? last
    }
    return found
  }

  #select(): string {
    const columns = "key, encode(value, 'base64') as value, version::float8 as version"
    return `select ${columns} from ${this.#names.records} where (expires_at is null or expires_at > ${NOW})`
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
