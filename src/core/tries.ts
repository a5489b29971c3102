import type { Clock } from './clock.js'
import { toGatewayError } from './errors.js'

const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 1000

/** Makes calls of a store or a broker again that it could not answer for now, while what comes behind them waits. */
export class Tries {
  readonly #clock: Clock
  readonly #pauses = new Set<() => void>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Ends all pauses: what has failed by then is given up. */
  close(): void {
    this.#isClosed = true
    for (const end of this.#pauses) end()
  }

  /**
   * Makes a call again after 10 ms, 20 ms, up to 1 s, until it succeeds. Rejects with its last error when that will not
   * pass, when there is no use in the call any more, or when this is closed.
   */
  async until<T>(call: () => Promise<T>, isUseless = async () => false): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call()
      } catch (error) {
        if (this.#isClosed || !toGatewayError(error).retryable) throw error
        await this.#pause(attempt)
        if (this.#isClosed || (await isUseless())) throw error
      }
    }
  }

  #pause(attempt: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        this.#pauses.delete(end)
        resolve()
      }
      const cancel = this.#clock.setTimer(end, Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS))
      this.#pauses.add(end)
    })
  }
}
