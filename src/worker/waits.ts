import type { Clock } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'

/** What is waited for: a pause may end early without any loss. */
type Kind = 'pause' | 'work'

/** All that a worker waits for, so that closing can end it. */
export class Waits {
  readonly #clock: Clock
  readonly #open = new Map<AbortController, Kind>()
  #ended: Kind | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the pauses, or the work as well: what there is, and what is yet to come. */
  end(kind: Kind): void {
    this.#ended = kind
    for (const [controller, opened] of this.#open) if (this.hasEnded(opened)) controller.abort(closed())
  }

  hasEnded(kind: Kind): boolean {
    return this.#ended === 'work' || this.#ended === kind
  }

  /** Settles like the work; when ended, or when time is up, it rejects at once and aborts the work's signal. */
  async until<T>(work: (signal: AbortSignal) => Promise<T> | T, timeoutMs?: number, kind: Kind = 'work'): Promise<T> {
    if (this.hasEnded(kind)) throw closed()
    const controller = new AbortController()
    const { signal } = controller
    const late = () => controller.abort(new GatewayError('ERR_WORKER_FAILED', `No result after ${timeoutMs} ms.`))
    const cancel = timeoutMs === undefined ? undefined : this.#clock.setTimer(late, timeoutMs)
    this.#open.set(controller, kind)
    try {
      return await new Promise<T>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        Promise.resolve(signal).then(work).then(resolve, reject)
      })
    } finally {
      cancel?.()
      this.#open.delete(controller)
    }
  }

  /** Resolves after `ms`; rejects when the worker closes before that. */
  pause(ms: number): Promise<void> {
    const sleep = (resolve: () => void) => this.#clock.setTimer(resolve, ms)
    const work = (signal: AbortSignal) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', sleep(resolve)))
    return this.until(work, undefined, 'pause')
  }
}

function closed(): GatewayError {
  return new GatewayError('ERR_CLOSED', 'The worker closes and gives the request back.')
}
