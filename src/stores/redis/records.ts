import type { RecordSpace, RecordWrite, StoredRecord } from '../../core/store.js'
import { GroupCommit, type Patience } from '../group-commit.js'
import type { Argument } from './connection.js'
import { failureOf, isDataError } from './errors.js'
import type { Scripts } from './runner.js'
import { DELETE, GET, LIST, PURGE_RECORDS, PUT } from './scripts/index.js'

/** What the records need of the store around them. */
export interface RedisRecordsOptions {
  readonly scripts: Scripts
  readonly self: string
  readonly maxBatch: number
  readonly patience: Patience
  /** Why the store cannot be used, if so. */
  fault(): Error | undefined
}

type Pair = readonly [version: Buffer | null, value: Buffer | null]

/** Versioned records. Versions grow over all records, so none comes back with a record made anew. */
export class RedisRecords implements RecordSpace {
  readonly #options: RedisRecordsOptions
  readonly #puts: GroupCommit<readonly Argument[], number | null>
  readonly #gets: GroupCommit<string, Pair>
  #writes = 0

  constructor(options: RedisRecordsOptions) {
    const { scripts, maxBatch, patience } = options
    this.#options = options
    const group = { maxBatch, patience, isDataError }
    const put = async (writes: readonly (readonly Argument[])[]) => scripts.run(PUT, writes.flat())
    this.#puts = new GroupCommit({
      flush: async (items) => ((await put(items)) as (number | null)[]).map(orFailure),
      bytesOf: (write) => write.reduce((sum, argument) => sum + argument.length, 0),
      ...group,
    })
    this.#gets = new GroupCommit({ flush: (keys) => this.#read(keys), ...group })
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    this.#assertReady()
    const [version, value] = await this.#gets.run(key)
    return version === null || value === null ? undefined : toRecord(key, version, value)
  }

  async put(write: RecordWrite): Promise<number | undefined> {
    this.#assertReady()
    return (await this.#puts.run(this.toArguments(write))) ?? undefined
  }

  async delete(key: string, ifVersion?: number): Promise<boolean> {
    this.#assertReady()
    return (await this.#options.scripts.run(DELETE, [key, String(ifVersion ?? '')])) === 1
  }

  async list(prefix: string, { after = '', limit = Number.POSITIVE_INFINITY } = {}): Promise<readonly StoredRecord[]> {
    const found: StoredRecord[] = []
    // Redis compares bytes, in which the order of texts in UTF-16 differs.
    const isBehind = Buffer.compare(Buffer.from(after), Buffer.from(prefix)) > 0
    let from: Argument | null = isBehind ? `(${after}` : `[${prefix}`
    while (from !== null && found.length < limit) {
      this.#assertReady()
      const wanted = String(Math.min(limit - found.length, 500))
      const [next, ...page] = (await this.#options.scripts.run(LIST, [from, wanted, prefix])) as [
        Buffer | null,
        ...Buffer[][],
      ]
      for (const [key, version, value] of page)
        if (key && version && value) found.push(toRecord(key.toString(), version, value))
      from = next
    }
    return found
  }

  /** Drops at most `limit` records that have had their time; true when there may be more. */
  async purge(limit: number): Promise<boolean> {
    return (await this.#options.scripts.run(PURGE_RECORDS, [String(limit)])) === limit
  }

  async #read(keys: readonly string[]): Promise<readonly (Pair | Error)[]> {
    const found: (Pair | Error)[] = []
    for (let isMore = true; isMore; ) {
      const page = (await this.#options.scripts.run(GET, keys.slice(found.length))) as Pair[]
      found.push(...page.map(orFailure))
      isMore = page.length > 0 && found.length < keys.length
    }
    return found
  }

  #assertReady(): void {
    const fault = this.#options.fault()
    if (fault !== undefined) throw fault
  }

  /** A write as the scripts take it; each has a name of its own, by which its repetition is known. */
  toArguments({ key, value, ifVersion, ttlMs }: RecordWrite): readonly Argument[] {
    this.#writes += 1
    const name = `${this.#options.self}-${this.#writes.toString(36)}`
    const ttl = ttlMs === undefined || ttlMs === Number.POSITIVE_INFINITY ? '' : String(Math.ceil(ttlMs))
    // A copy, as the write may leave later, when the caller has changed its own.
    return [key, Buffer.from(value), String(ifVersion ?? ''), ttl, name]
  }
}

function orFailure<Answer>(answer: Answer): Answer | Error {
  return failureOf(answer) ?? answer
}

function toRecord(key: string, version: Buffer, value: Buffer): StoredRecord {
  // A copy, and not the buffer of the client, which is a part of a larger one.
  return { key, version: Number(version.toString()), value: new Uint8Array(value) }
}
