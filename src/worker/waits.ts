import type { Clock } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'

/** What is waited for: a pause may end early without any loss. */
type Kind = 'pause' | 'work'

/** One thing that is waited for, until it is given up. */
export class Wait {
  reason: GatewayError | undefined
  onGiveUp: (reason: GatewayError) => void = () => {}
  #controller: AbortController | undefined

  /** Made on demand: with its listeners it costs more than all the rest of a request, and few handlers look at it. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.reason !== undefined) this.#controller.abort(this.reason)
    return this.#controller.signal
  }

  giveUp(reason: GatewayError): void {
    this.reason = reason
    this.onGiveUp(reason)
    this.#controller?.abort(reason)
  }
}

/** All that a worker waits for, so that closing can end it. */
export class Waits {
  readonly #clock: Clock
  readonly #open = new Map<Wait, Kind>()
  #ended: Kind | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the pauses, or the work as well: what there is, and what is yet to come. */
  end(kind: Kind): void {
    this.#ended = kind
    for (const [wait, opened] of this.#open) if (this.hasEnded(opened)) wait.giveUp(closed())
  }

  hasEnded(kind: Kind): boolean {
    return this.#ended === 'work' || this.#ended === kind
  }

  /** Settles like the work; when ended, or when time is up, it rejects at once and gives the work up. */
  async until<T>(work: (wait: Wait) => Promise<T> | T, timeoutMs?: number, kind: Kind = 'work'): Promise<T> {
    if (this.hasEnded(kind)) throw closed()
    const wait = new Wait()
    const late = () => wait.giveUp(new GatewayError('ERR_WORKER_FAILED', `No result after ${timeoutMs} ms.`))
    const cancel = timeoutMs === undefined ? undefined : this.#clock.setTimer(late, timeoutMs)
    this.#open.set(wait, kind)
    try {
      return await new Promise<T>((resolve, reject) => {
        wait.onGiveUp = reject
        Promise.resolve(wait).then(work).then(resolve, reject)
      })
    } finally {
      cancel?.()
      this.#open.delete(wait)
    }
  }

  /** Resolves after `ms`; rejects when the worker closes before that. */
  async pause(ms: number): Promise<void> {
    let cancel = () => {}
    const sleep = () => new Promise<void>((resolve) => (cancel = this.#clock.setTimer(resolve, ms)))
    await this.until(sleep, undefined, 'pause').finally(() => cancel())
  }
}

function closed(): GatewayError {
  return new GatewayError('ERR_CLOSED', 'The worker closes and gives the request back.')
}
