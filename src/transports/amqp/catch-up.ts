import type { Clock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'

/** What tells whether a reader is done with what was there before it. */
export interface CatchUpOptions {
  readonly clock: Clock
  /** True when nothing runs and the queues are empty: other members of a group may have handled some of it. */
  isIdle(): Promise<boolean>
}

const LOOK_EVERY_MS = 200

/** Finds out when a reader has handled what was in its queues when it came. */
export class CatchUp {
  readonly done: Promise<void>
  readonly #options: CatchUpOptions
  /** How many messages are to be handled until what was there at first is; undefined before the first time. */
  #missing: number | undefined
  #isClosed = false
  #resolve = (): void => {}
  #reject = (_error: GatewayError): void => {}

  constructor(options: CatchUpOptions) {
    this.#options = options
    this.done = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Who does not ask need not handle the error.
    this.done.catch(() => {})
  }

  /** So many messages were there; only the first time counts. */
  expect(before: number): void {
    if (this.#missing !== undefined) return
    this.#missing = before
    if (before === 0) this.#resolve()
    else this.#lookLater()
  }

  handled(): void {
    this.#missing = (this.#missing ?? 0) - 1
    if (this.#missing === 0) this.#resolve()
  }

  close(): void {
    this.#isClosed = true
    this.#reject(new GatewayError('ERR_CLOSED', 'The reader was closed before it had caught up.'))
  }

  #lookLater(): void {
    if (this.#isClosed || (this.#missing ?? 0) <= 0) return
    this.#options.clock.setTimer(() => void this.#look(), LOOK_EVERY_MS, true)
  }

  async #look(): Promise<void> {
    if (await this.#options.isIdle()) this.#resolve()
    else this.#lookLater()
  }
}
