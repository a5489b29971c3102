import type { PartitionId } from './client.js'
import type { PartitionLog } from './partition-log.js'

/** What is read ahead of whom, and who is told. */
export interface ReadAheadParts {
  readonly logs: ReadonlyMap<PartitionId, PartitionLog>
  /** How many records are handled at a time. */
  readonly concurrency: number
  /** So many records may be there at a time whatever their size. */
  readonly atLeast: number
  pause(partition: PartitionId): void
  resume(partition: PartitionId): void
  /** A partition stands still because of its oldest record. */
  heldUp(partition: PartitionId, offset: bigint): void
}

/** Records of a partition, besides those that are being handled. */
const RECORDS = 1000
/** Of a whole reader. */
const BYTES = 2 ** 23

/** Bounds what is read and not settled: partitions that have too much of it are paused, all of them by its bytes. */
export class ReadAhead {
  readonly #parts: ReadAheadParts
  #isHolding = false

  constructor(parts: ReadAheadParts) {
    this.#parts = parts
  }

  /** Pauses what must not be read on; after more was read. */
  hold(): void {
    const isFull = this.#isFull(BYTES)
    for (const [id, log] of this.#parts.logs) {
      const held = log.heldUpBy
      if (log.isPaused || !(isFull || held !== undefined || this.#isLong(log, RECORDS))) continue
      this.#isHolding = true
      log.isPaused = true
      this.#parts.pause(id)
      if (held !== undefined) this.#parts.heldUp(id, held)
    }
  }

  /** Resumes what has room for half as much again; after something was settled, or has gone. */
  release(): void {
    if (!this.#isHolding || this.#isFull(BYTES / 2)) return
    this.#isHolding = false
    for (const [id, log] of this.#parts.logs) {
      if (!log.isPaused) continue
      log.isPaused = log.heldUpBy !== undefined || this.#isLong(log, RECORDS / 2)
      if (log.isPaused) this.#isHolding = true
      else this.#parts.resume(id)
    }
  }

  #isLong({ size }: PartitionLog, records: number): boolean {
    return size >= this.#parts.concurrency + records
  }

  #isFull(limit: number): boolean {
    let [records, bytes] = [0, 0]
    for (const log of this.#parts.logs.values()) {
      records += log.size
      bytes += log.bytes
    }
    return bytes >= limit && records >= this.#parts.atLeast
  }
}
