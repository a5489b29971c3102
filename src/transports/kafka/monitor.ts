import type { Clock } from '../../core/clock.js'
import type { TransportListener } from '../../core/transport.js'

/** What a monitor watches, and how often. */
export interface MonitorParts {
  readonly clock: Clock
  readonly everyMs: number
  /** Asks the broker something. */
  ask(): Promise<void>
}

/** One question may be late on a busy machine, and requests that cannot be published say so themselves. */
const DOWN_AFTER = 2

/**
 * Asks the broker now and then, and tells when it goes and comes back. Clients connect to several brokers for several
 * purposes and keep silent about most of it, so a question of one's own is the one thing that says the same for all.
 * Whoever asks through it, as a gateway does every second, spares it its own questions.
 */
export class Monitor {
  readonly #parts: MonitorParts
  readonly #listeners = new Set<TransportListener>()
  #cancel: (() => void) | undefined
  #question: Promise<void> | undefined
  #failures = 0
  #isOpen = false

  constructor(parts: MonitorParts) {
    this.#parts = parts
  }

  add(listener: TransportListener): void {
    this.#listeners.add(listener)
    if (this.#isOpen) return
    this.#isOpen = true
    this.#schedule(this.#parts.everyMs)
  }

  close(): void {
    this.#isOpen = false
    this.#failures = 0
    this.#cancel?.()
    this.#listeners.clear()
  }

  /** Something went wrong that no call can report. */
  tell(error: unknown): void {
    for (const listener of this.#listeners) listener.error?.(error)
  }

  /** Asks the broker now; rejects as the question does. */
  check(): Promise<void> {
    // Twice the time: who asks every second must not be a little too late every time.
    return this.#ask(2 * this.#parts.everyMs)
  }

  #schedule(ms: number): void {
    this.#cancel?.()
    this.#cancel = this.#parts.clock.setTimer(() => void this.#ask(this.#parts.everyMs).catch(() => {}), ms, true)
  }

  /** One question at a time; `nextMs` after its answer the monitor asks by itself. */
  #ask(nextMs: number): Promise<void> {
    this.#question ??= this.#askAnew(nextMs).finally(() => {
      this.#question = undefined
    })
    return this.#question
  }

  async #askAnew(nextMs: number): Promise<void> {
    this.#cancel?.()
    try {
      await this.#parts.ask()
      this.#hear()
    } catch (error) {
      this.#hear({ error })
      throw error
    } finally {
      if (this.#isOpen) this.#schedule(nextMs)
    }
  }

  #hear(failure?: { readonly error: unknown }): void {
    if (!this.#isOpen) return
    const wasDown = this.#failures >= DOWN_AFTER
    this.#failures = failure === undefined ? 0 : this.#failures + 1
    if (failure === undefined && wasDown) for (const listener of this.#listeners) listener.up()
    if (failure !== undefined && this.#failures === DOWN_AFTER) {
      for (const listener of this.#listeners) listener.down(failure.error)
    }
  }
}
