import type { Clock } from '../core/clock.js'
import { createId } from '../core/ids.js'
import type { RecordSpace } from '../core/store.js'
import type { Projection } from './projection.js'
import { decodeRow, encodeRow, type Row } from './row.js'

/** All rows as they were when everything up to a position had been folded. */
export interface Snapshot {
  /** Of the last event in it. */
  readonly position: string
  readonly rows: ReadonlyMap<string, Row>
}

/** The record that names the chunks of the newest snapshot. */
interface Head {
  readonly id: string
  readonly position: string
  readonly chunks: number
  readonly rows: number
  readonly takenAt: number
}

/** Where snapshots live, and how long. */
export interface SnapshotOptions {
  readonly records: RecordSpace
  readonly projection: Projection
  /** Given where no other instance can read on from their positions. */
  readonly instance?: string | undefined
  readonly clock: Clock
  /** Older ones of folds that nobody uses any more are dropped by the store. */
  readonly ttlMs: number
}

/** Characters of one chunk: small enough for every store, and for its time-out. */
const CHUNK_SIZE = 262_144
const LOAD_ATTEMPTS = 3

/** Snapshots of a projection in the record space, in chunks; each version of the fold has its own. */
export class Snapshots {
  readonly #options: SnapshotOptions
  readonly #prefix: string

  constructor(options: SnapshotOptions) {
    this.#options = options
    const { projection, instance } = options
    this.#prefix = prefixOf(projection) + (instance === undefined ? '' : `instance/${instance}/`)
  }

  /** The newest snapshot that is whole; undefined when there is none. */
  async load(): Promise<Snapshot | undefined> {
    // Another instance may replace it while it is read; then the new one is there.
    for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt += 1) {
      const head = (await this.#head())?.head
      if (head === undefined) return undefined
      const rows = await this.#rows(head)
      if (rows.size === head.rows) return { position: head.position, rows }
    }
    return undefined
  }

  /** True when nobody has taken one for so long; whatever the clocks say, when that is no time at all. */
  async isDue(afterMs: number): Promise<boolean> {
    if (afterMs <= 0) return true
    const known = await this.#head()
    const ageMs = known && this.#options.clock.now() - known.head.takenAt
    // A clock that was put back might have none taken for as long as it takes to come to that time again.
    return ageMs === undefined || ageMs < 0 || ageMs >= afterMs
  }

  /** Writes a snapshot, and drops the one before; false when another instance was faster. */
  async save({ position, rows }: Snapshot): Promise<boolean> {
    const { records, clock, ttlMs } = this.#options
    const before = await this.#head()
    const id = createId(clock.now())
    const chunks = await this.#writeChunks(id, rows)
    const head: Head = { id, position, chunks, rows: rows.size, takenAt: clock.now() }
    // The head comes last: whoever reads it finds all of its chunks.
    const write = { key: `${this.#prefix}head`, value: toBytes(head), ifVersion: before?.version ?? 0, ttlMs }
    const isNewest = (await records.put(write)) !== undefined
    const obsolete = isNewest ? before?.head : head
    if (obsolete !== undefined) await this.#drop(obsolete)
    return isNewest
  }

  async #writeChunks(id: string, rows: ReadonlyMap<string, Row>): Promise<number> {
    let count = 0
    for (const chunk of chunksOf(rows)) {
      const key = this.#chunkKey(id, count)
      await this.#options.records.put({ key, value: Buffer.from(chunk), ttlMs: this.#options.ttlMs })
      count += 1
    }
    return count
  }

  async #head(): Promise<{ readonly head: Head; readonly version: number } | undefined> {
    const record = await this.#options.records.get(`${this.#prefix}head`)
    return record && { head: JSON.parse(textOf(record.value)) as Head, version: record.version }
  }

  async #rows({ id, chunks }: Head): Promise<Map<string, Row>> {
    const rows = new Map<string, Row>()
    for (let count = 0; count < chunks; count += 1) {
      const record = await this.#options.records.get(this.#chunkKey(id, count))
      if (record === undefined) break
      for (const [key, row] of JSON.parse(textOf(record.value)) as [string, string][]) rows.set(key, decodeRow(row))
    }
    return rows
  }

  async #drop({ id, chunks }: Head): Promise<void> {
    for (let count = 0; count < chunks; count += 1) await this.#options.records.delete(this.#chunkKey(id, count))
  }

  #chunkKey(id: string, count: number): string {
    return `${this.#prefix}chunk/${id}/${String(count).padStart(8, '0')}`
  }
}

/** Where the records of a projection begin. */
export function prefixOf({ name, version }: Projection): string {
  return `read-model/${name}/${version}/`
}

function* chunksOf(rows: ReadonlyMap<string, Row>): Generator<string> {
  let chunk: [string, string][] = []
  let size = 0
  for (const [key, row] of rows) {
    const text = encodeRow(row)
    if (size > 0 && size + text.length > CHUNK_SIZE) {
      yield JSON.stringify(chunk)
      chunk = []
      size = 0
    }
    chunk.push([key, text])
    size += text.length + key.length
  }
  if (chunk.length > 0) yield JSON.stringify(chunk)
}

function toBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
