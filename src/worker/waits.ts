import type { Clock } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'

/** What is waited for: a pause may end early without any loss. */
type Kind = 'pause' | 'work'

interface Wait {
  readonly kind: Kind
  /** Makes its signal when somebody asks for it, which costs more than all the rest of a request. */
  readonly controller: AbortController
  reject: (reason: unknown) => void
}

/** All that a worker waits for, so that closing can end it. */
export class Waits {
  readonly #clock: Clock
  readonly #open = new Set<Wait>()
  #ended: Kind | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the pauses, or the work as well: what there is, and what is yet to come. */
  end(kind: Kind): void {
    this.#ended = kind
    for (const wait of this.#open) if (this.hasEnded(wait.kind)) giveUp(wait, closed())
  }

  hasEnded(kind: Kind): boolean {
    return this.#ended === 'work' || this.#ended === kind
  }

  /** Settles like the work; when ended, or when time is up, it rejects at once and aborts the work's controller. */
  async until<T>(work: (controller: AbortController) => T | Promise<T>, timeoutMs?: number, kind: Kind = 'work') {
    if (this.hasEnded(kind)) throw closed()
    const wait: Wait = { kind, controller: new AbortController(), reject: () => {} }
    const cancel = timeoutMs && this.#clock.setTimer(() => giveUp(wait, late(timeoutMs)), timeoutMs)
    this.#open.add(wait)
    try {
      return await new Promise<T>((resolve, reject) => {
        wait.reject = reject
        Promise.resolve(wait.controller).then(work).then(resolve, reject)
      })
    } finally {
      if (cancel) cancel()
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

function giveUp({ controller, reject }: Wait, reason: GatewayError): void {
  reject(reason)
  controller.abort(reason)
}

function late(ms: number): GatewayError {
  return new GatewayError('ERR_WORKER_FAILED', `No result after ${ms} ms.`)
}

function closed(): GatewayError {
  return new GatewayError('ERR_CLOSED', 'The worker closes and gives the request back.')
}
