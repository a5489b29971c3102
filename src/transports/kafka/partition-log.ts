import type { Place, Witness } from './starts.js'

/** What is read of one partition, and how far it may be committed. */
export class PartitionLog {
  /** Offsets that nobody has settled yet, in their order. */
  readonly #open = new Set<bigint>()
  /** The offset behind everything that was read. */
  #next: bigint
  /** The last record that was read, if it is a replay's. */
  #last: Witness | undefined
  /** True until that record was read again, from which on a replay reads. */
  #isUnknown: boolean
  isPaused = false

  constructor({ next, last }: Place) {
    this.#next = next
    this.#last = last
    this.#isUnknown = last !== undefined
  }

  /** How many records are unsettled. */
  get size(): number {
    return this.#open.size
  }

  get next(): bigint {
    return this.#next
  }

  get place(): Place {
    return { next: this.#next, last: this.#last }
  }

  /** Where to read from. */
  get start(): bigint {
    return (this.#isUnknown ? this.#last?.offset : undefined) ?? this.#next
  }

  /** Everything below it is settled. */
  get mark(): bigint {
    if (this.#isUnknown) return this.start
    for (const first of this.#open) return first
    return this.#next
  }

  /** The record by which this log is to be known again, until it is, or turns out to be gone. */
  get wanted(): Witness | undefined {
    return this.#isUnknown ? this.#last : undefined
  }

  /** Notes the last record that was read. */
  witness(last: Witness): void {
    this.#last = last
  }

  add(offset: bigint): void {
    this.#open.add(offset)
  }

  settle(offset: bigint): void {
    this.#open.delete(offset)
  }

  /** Everything below `next` has been read, or is not there. */
  advance(next: bigint): void {
    if (this.#last !== undefined && next > this.#last.offset) this.#isUnknown = false
    if (next > this.#next) this.#next = next
  }
}
