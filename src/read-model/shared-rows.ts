import type { RecordSpace } from '../core/store.js'
import type { Projection } from './projection.js'
import { decodeRow, encodeRow, type Row } from './row.js'
import { prefixOf } from './snapshots.js'

const PAGE = 20

/** A row, and the version of its record. */
export interface KeptRow {
  readonly row: Row
  readonly version: number
}

/** The rows of a shared copy, one record each. They are made in a term: what a later one makes anew is beside them. */
export class SharedRows {
  readonly #records: RecordSpace
  readonly #prefix: string

  constructor(records: RecordSpace, projection: Projection) {
    this.#records = records
    this.#prefix = `${prefixOf(projection)}row/`
  }

  async find(term: number, key: string): Promise<KeptRow | undefined> {
    const record = await this.#records.get(this.#keyOf(term, key))
    return record && { row: decodeRow(Buffer.from(record.value).toString()), version: record.version }
  }

  /** False when the row has another version; 0 is that of a row that is not there. */
  async put(key: string, row: Row, { term, ifVersion }: { readonly term: number; readonly ifVersion: number }) {
    const write = { key: this.#keyOf(term, key), value: Buffer.from(encodeRow(row)), ifVersion }
    return (await this.#records.put(write)) !== undefined
  }

  /** Drops the rows of earlier terms, for as long as it is wanted. */
  async sweep(term: number, isWanted: () => boolean): Promise<void> {
    while (isWanted()) {
      const page = await this.#records.list(this.#prefix, { limit: PAGE })
      const old = page.filter(({ key }) => key < this.#keyOf(term, ''))
      for (const { key } of old) await this.#records.delete(key)
      if (old.length < PAGE) return
    }
  }

  #keyOf(term: number, key: string): string {
    return `${this.#prefix}${String(term).padStart(10, '0')}/${encodeURIComponent(key)}`
  }
}
