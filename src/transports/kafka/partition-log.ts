/** What is read of one partition, and how far it may be committed. */
export class PartitionLog {
  /** Offsets that nobody has settled yet, in their order. */
  readonly #open = new Set<bigint>()
  /** The offset behind everything that was read. */
  #next: bigint
  isPaused = false

  constructor(start: bigint) {
    this.#next = start
  }

  /** How many records are unsettled. */
  get size(): number {
    return this.#open.size
  }

  get next(): bigint {
    return this.#next
  }

  /** Everything below it is settled. */
  get mark(): bigint {
    for (const first of this.#open) return first
    return this.#next
  }

  add(offset: bigint): void {
    this.#open.add(offset)
  }

  settle(offset: bigint): void {
    this.#open.delete(offset)
  }

  /** Everything below `next` has been read, or is not there. */
  advance(next: bigint): void {
    if (next > this.#next) this.#next = next
  }
}
