import type { Place, Witness } from './starts.js'

/** So many offsets may be read behind a record that fails. */
const FAR = 10_000n

/** What is read of one partition, and how far it may be committed. */
export class PartitionLog {
  /** The sizes of records that nobody has settled yet, by their offsets, in their order. */
  readonly #open = new Map<bigint, number>()
  /** Those of them that have failed, and come again. */
  readonly #failed = new Set<bigint>()
  #bytes = 0
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

  /** How many bytes the unsettled records have. */
  get bytes(): number {
    return this.#bytes
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
    for (const first of this.#open.keys()) return first
    return this.#next
  }

  /**
   * The oldest unsettled record, if it has failed, and is far behind: everything from it on would come again after a
   * crash. One whose handler only takes its time holds up nothing.
   */
  get heldUpBy(): bigint | undefined {
    const first = this.mark
    return this.#failed.has(first) && this.isFarBehind(first) ? first : undefined
  }

  /** The record by which this log is to be known again, until it is, or turns out to be gone. */
  get wanted(): Witness | undefined {
    return this.#isUnknown ? this.#last : undefined
  }

  /** Notes the last record that was read. */
  witness(last: Witness): void {
    this.#last = last
  }

  isFarBehind(offset: bigint): boolean {
    return this.#next - offset > FAR
  }

  add(offset: bigint, bytes: number): void {
    this.#open.set(offset, bytes)
    this.#bytes += bytes
  }

  /** Notes that a record has failed, and comes again. */
  fail(offset: bigint): void {
    this.#failed.add(offset)
  }

  settle(offset: bigint): void {
    this.#bytes -= this.#open.get(offset) ?? 0
    this.#open.delete(offset)
    this.#failed.delete(offset)
  }

  /** Everything below `next` has been read, or is not there. */
  advance(next: bigint): void {
    if (this.#last !== undefined && next > this.#last.offset) this.#isUnknown = false
    if (next > this.#next) this.#next = next
  }
}
