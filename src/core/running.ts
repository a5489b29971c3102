import type { Operation } from './operation.js'
import type { PendingRequest } from './pending-request.js'

/**
 * What this process knows of one operation, for each of those who keep something of it. One entry in one table for all
 * of them: with a million in it each look-up waits for memory, and three tables made a request wait three times.
 */
export interface RunningOperation {
  /** As the one that started it counts it. */
  open: OpenOperation | undefined
  /** Who waits for it. */
  waiting: PendingRequest | Set<PendingRequest> | undefined
  /** The operation itself where no store keeps it. */
  kept: Operation | undefined
}

/** An operation as the limits count it. */
export interface OpenOperation {
  readonly command: string
  readonly principal: string | undefined
  /** When it must have expired, on the monotonic scale. */
  readonly until: number
  /** The first publish of its request event is under way. */
  isBeingPublished: boolean
}

/** The operations that somebody in this process keeps something of, in the order in which they came. */
export class Running {
  readonly #entries = new Map<string, RunningOperation>()

  get(id: string): RunningOperation | undefined {
    return this.#entries.get(id)
  }

  /** The entry to note something in; there is one from now on. */
  enter(id: string): RunningOperation {
    const known = this.#entries.get(id)
    if (known !== undefined) return known
    const entry: RunningOperation = { open: undefined, waiting: undefined, kept: undefined }
    this.#entries.set(id, entry)
    return entry
  }

  /** Called when something was taken out of an entry: without all three it is gone. */
  leave(id: string, { open, waiting, kept }: RunningOperation): void {
    if (open === undefined && waiting === undefined && kept === undefined) this.#entries.delete(id)
  }

  entries(): IterableIterator<[string, RunningOperation]> {
    return this.#entries.entries()
  }
}
