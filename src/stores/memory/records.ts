import type { Clock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import type { RecordSpace, RecordWrite, StoredRecord } from '../../core/store.js'
import { type Due, Lanes } from './lanes.js'
import { SortedKeys } from './sorted-keys.js'

class Row implements Due {
  lane: unknown

  constructor(
    readonly record: StoredRecord,
    readonly dueAt: number,
    readonly ttlMs: number,
  ) {}
}

/** What the records need of the store around them. */
export interface MemoryRecordsOptions {
  readonly clock: Clock
  readonly maxRecords: number
  /** Throws when the store is not open. */
  assertOpen(): void
}

/** Versioned records. Versions count the writes of all records, so no version comes back with a record made anew. */
export class MemoryRecords implements RecordSpace {
  readonly #options: MemoryRecordsOptions
  readonly #rows = new Map<string, Row>()
  readonly #keys = new SortedKeys()
  readonly #lanes = new Lanes<Row>()
  #version = 0

  constructor(options: MemoryRecordsOptions) {
    this.#options = options
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    this.#options.assertOpen()
    const row = this.#live(key)
    return row === undefined ? undefined : copyOf(row)
  }

  async put(write: RecordWrite): Promise<number | undefined> {
    this.#options.assertOpen()
    return this.write(write)
  }

  async delete(key: string, ifVersion?: number): Promise<boolean> {
    this.#options.assertOpen()
    const row = this.#live(key)
    if (row === undefined || (ifVersion !== undefined && ifVersion !== row.record.version)) return false
    this.#remove(row)
    return true
  }

  async list(prefix: string, { after = '', limit = Number.POSITIVE_INFINITY } = {}): Promise<readonly StoredRecord[]> {
    this.#options.assertOpen()
    const now = this.#options.clock.now()
    const found: StoredRecord[] = []
    for (const key of this.#keys.from(after > prefix ? after : prefix)) {
      if (found.length >= limit || !key.startsWith(prefix)) break
      const row = this.#rows.get(key)
      if (row !== undefined && row.dueAt > now && key !== after) found.push(copyOf(row))
    }
    return found
  }

  /**
   * Makes room for these records.
   * @throws GatewayError ERR_STORE_FULL when all that are there still have time to live.
   */
  reserve(writes: readonly RecordWrite[]): void {
    const added = writes.filter(({ key }) => this.#live(key) === undefined).length
    const room = this.#options.maxRecords - added
    if (added === 0 || this.#rows.size <= room) return
    this.purge(added)
    if (this.#rows.size > room)
      throw new GatewayError('ERR_STORE_FULL', `The store has ${this.#rows.size} records already.`)
  }

  /** Writes a record if its condition holds, and gives the new version. */
  write(write: RecordWrite): number | undefined {
    const { key, value, ifVersion, ttlMs = Number.POSITIVE_INFINITY } = write
    const known = this.#live(key)
    if (ifVersion !== undefined && ifVersion !== (known?.record.version ?? 0)) return undefined
    this.reserve([write])
    if (known !== undefined) this.#remove(known)
    this.#version += 1
    const row = new Row(
      { key, value: new Uint8Array(value), version: this.#version },
      this.#options.clock.now() + ttlMs,
      ttlMs,
    )
    this.#rows.set(key, row)
    this.#keys.add(key)
    this.#lanes.add(row, ttlMs)
    return this.#version
  }

  /** Drops at most `limit` records that have had their time; true when there may be more. */
  purge(limit: number): boolean {
    const now = this.#options.clock.now()
    for (let count = 0; count < limit; count += 1) {
      const row = this.#lanes.due(now)
      if (row === undefined) return false
      this.#remove(row)
    }
    return true
  }

  /** The record, unless its time is over: then it is dropped on sight. */
  #live(key: string): Row | undefined {
    const row = this.#rows.get(key)
    if (row === undefined || row.dueAt > this.#options.clock.now()) return row
    this.#remove(row)
    return undefined
  }

  #remove(row: Row): void {
    this.#rows.delete(row.record.key)
    this.#keys.delete(row.record.key)
    this.#lanes.remove(row, row.ttlMs)
  }
}

// A copy, and not by slice, which for a Buffer is a view: neither side can change what the other one holds.
function copyOf({ record }: Row): StoredRecord {
  return { ...record, value: new Uint8Array(record.value) }
}
