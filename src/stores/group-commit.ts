import { GatewayError } from '../core/errors.js'
import { within } from '../core/in-time.js'
import type { StoreUser } from '../core/store.js'

/** How a group of calls is written. */
export interface GroupCommitOptions<In, Out> {
  /** Writes the items in one go, a single one as a plain statement; gives for each, in order, its answer or its error. */
  flush(items: readonly In[]): Promise<readonly (Out | Error)[]>
  /** Whether a whole batch failed for what one of its items holds. Without it no batch is tried again. */
  isDataError?(error: unknown): boolean
  /** The most items of one batch. @default 500 */
  readonly maxBatch?: number
  /** How large an item is, in bytes; without it only their number is bounded. */
  bytesOf?(item: In): number
  /** The most bytes of one batch; an item that has more goes alone. @default BATCH_BYTES */
  readonly maxBytes?: number
  /** The most batches on their way at a time. @default 2 */
  readonly inFlight?: number
  /** How long a batch holds its place among those on their way; then its outcome is unknown. */
  readonly patience?: { readonly ms: number }
}

/** The most bytes of one statement; of one answer too, which of reads nobody knows before. */
export const BATCH_BYTES = 4 * 1024 * 1024

const GIVE_UP_MS = 5_000
// So that a store that is only slow is not sent ever more.
const LEAST_MS = 1_000

/** How long a store is waited for: as long as its most patient user waits, after which nobody does. */
export class Patience {
  #ms = 0

  get ms(): number {
    return Math.max(this.#ms, LEAST_MS)
  }

  /** One that does not say how long it waits waits for five seconds. */
  add({ callTimeoutMs = GIVE_UP_MS }: StoreUser = {}): void {
    this.#ms = Math.max(this.#ms, callTimeoutMs)
  }

  /** After the last user. */
  reset(): void {
    this.#ms = 0
  }
}

interface Call<In, Out> {
  readonly item: In
  readonly bytes: number
  isGivenUp?: boolean
  resolve(answer: Out): void
  reject(error: unknown): void
}

/**
 * Writes calls in groups: what arrives while enough batches are on their way leaves in the next one, in order. Nobody
 * waits for company, so that a call alone leaves at once, and one commit serves all that came during the last.
 */
export class GroupCommit<In, Out> {
  readonly #flush: GroupCommitOptions<In, Out>['flush']
  readonly #isDataError: (error: unknown) => boolean
  readonly #bytesOf: (item: In) => number
  readonly #maxBatch: number
  readonly #maxBytes: number
  readonly #inFlight: number
  readonly #patience: { readonly ms: number }
  #waiting: Call<In, Out>[] = []
  #running = 0
  #isScheduled = false

  constructor(options: GroupCommitOptions<In, Out>) {
    this.#flush = (items) => options.flush(items)
    this.#isDataError = (error) => options.isDataError?.(error) ?? false
    this.#bytesOf = (item) => options.bytesOf?.(item) ?? 0
    this.#maxBatch = options.maxBatch ?? 500
    this.#maxBytes = options.maxBytes ?? BATCH_BYTES
    this.#inFlight = options.inFlight ?? 2
    this.#patience = options.patience ?? { ms: GIVE_UP_MS }
  }

  /** Resolves to what the flush answers for this item. */
  run(item: In): Promise<Out> {
    return new Promise<Out>((resolve, reject) => {
      // Here, where an item without a size rejects its own call.
      this.#waiting.push({ item, bytes: this.#bytesOf(item), resolve, reject })
      this.#schedule()
    })
  }

  /** Not at once, so that calls made one after the other, such as for all results of a frame, leave together. */
  #schedule(): void {
    if (this.#isScheduled || this.#running >= this.#inFlight) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#start()
    })
  }

  #start(): void {
    while (this.#running < this.#inFlight && this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, this.#fitting())
      this.#waiting = this.#waiting.slice(batch.length)
      this.#running += 1
      void this.#writeInTime(batch).then(() => {
        this.#running -= 1
        this.#schedule()
      })
    }
  }

  /** How many of those that wait make up the next batch. */
  #fitting(): number {
    let bytes = 0
    for (let count = 0; count < this.#maxBatch; count += 1) {
      const call = this.#waiting[count]
      if (call === undefined) return count
      bytes += call.bytes
      if (bytes > this.#maxBytes) return Math.max(count, 1)
    }
    return this.#maxBatch
  }

  /** Never rejects. A batch that is never answered, as on a line that went dead, must not stop those behind it. */
  async #writeInTime(batch: readonly Call<In, Out>[]): Promise<void> {
    const { ms } = this.#patience
    const text = `The store has not answered within ${ms} ms.`
    const late = () => new GatewayError('ERR_STORE_UNAVAILABLE', text, { outcome: 'unknown' })
    try {
      await within(this.#write(batch), { ms, late })
    } catch (error) {
      for (const call of batch) {
        call.isGivenUp = true
        call.reject(error)
      }
    }
  }

  /** Never rejects. */
  async #write(batch: readonly Call<In, Out>[]): Promise<void> {
    try {
      const answers = await this.#flush(batch.map(({ item }) => item))
      for (const [index, call] of batch.entries()) settle(call, answers, index)
    } catch (error) {
      if (batch.length > 1 && this.#isDataError(error)) await this.#writeHalves(batch)
      else for (const call of batch) call.reject(error)
    }
  }

  /** Until the bad item is alone; by halves, so that one among 500 costs 18 statements and not 500. */
  async #writeHalves(batch: readonly Call<In, Out>[]): Promise<void> {
    if (batch[0]?.isGivenUp) return
    const middle = Math.ceil(batch.length / 2)
    await this.#write(batch.slice(0, middle))
    await this.#write(batch.slice(middle))
  }
}

function settle<In, Out>(call: Call<In, Out>, answers: readonly (Out | Error)[], index: number): void {
  if (index >= answers.length) call.reject(new Error(`The flush gave ${answers.length} answers, none for this item.`))
  else {
    const answer = answers[index] as Out | Error
    if (answer instanceof Error) call.reject(answer)
    else call.resolve(answer)
  }
}
