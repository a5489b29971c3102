import type { PartitionId } from './client.js'
import type { PartitionLog } from './partition-log.js'
import type { Offsets } from './starts.js'

/** What was there before a reader, as far as it is not handled yet. */
export class History {
  /** Where it ends in each partition; undefined before the first assignment. */
  #ends: Map<PartitionId, bigint> | undefined

  get isKnown(): boolean {
    return this.#ends !== undefined
  }

  expect(starts: Offsets, ends: Offsets): void {
    this.#ends = new Map([...ends].filter(([id, end]) => (starts.get(id) ?? end) < end))
  }

  forget(id: PartitionId): void {
    this.#ends?.delete(id)
  }

  /** True when all of it is handled; what has moved to another member is that one's history. */
  isHandled(logs: ReadonlyMap<PartitionId, PartitionLog>): boolean {
    if (this.#ends === undefined) return false
    for (const [id, end] of this.#ends) {
      const log = logs.get(id)
      if (log === undefined || log.mark >= end) this.#ends.delete(id)
    }
    return this.#ends.size === 0
  }
}
