import type { Clock } from '../../core/clock.js'
import type { TransportListener } from '../../core/transport.js'

/** What a monitor watches, and how often. */
export interface MonitorParts {
  readonly clock: Clock
  readonly everyMs: number
  check(): Promise<void>
}

/** One question may be late on a busy machine, and requests that cannot be published say so themselves. */
const DOWN_AFTER = 2

/**
 * Asks the broker now and then, and tells when it goes and comes back. Clients connect to several brokers for several
 * purposes and keep silent about most of it, so a question of one's own is the one thing that says the same for all.
 */
export class Monitor {
  readonly #parts: MonitorParts
  readonly #listeners = new Set<TransportListener>()
  #cancel: (() => void) | undefined
  #failures = 0
  #isOpen = false

  constructor(parts: MonitorParts) {
    this.#parts = parts
  }

  add(listener: TransportListener): void {
    this.#listeners.add(listener)
    if (this.#isOpen) return
    this.#isOpen = true
    this.#schedule()
  }

  close(): void {
    this.#isOpen = false
    this.#failures = 0
    this.#cancel?.()
    this.#listeners.clear()
  }

  #schedule(): void {
    this.#cancel = this.#parts.clock.setTimer(() => void this.#ask(), this.#parts.everyMs, true)
  }

  async #ask(): Promise<void> {
    const failure = await this.#parts.check().then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    if (!this.#isOpen) return
    const wasDown = this.#failures >= DOWN_AFTER
    this.#failures = failure === undefined ? 0 : this.#failures + 1
    if (failure === undefined && wasDown) for (const listener of this.#listeners) listener.up()
    if (failure !== undefined && this.#failures === DOWN_AFTER) {
      for (const listener of this.#listeners) listener.down(failure.error)
    }
    this.#schedule()
  }
}
