import type { Clock } from '../../core/clock.js'
import type { AmqpChannel, AmqpMessage } from './client.js'

/** How a reader finds out that it has gone deaf. */
export interface SelfProbeOptions {
  readonly clock: Clock
  /** Sends a message to the reader's own queues; false when there is no point in it now. */
  send(): boolean
  /** Called once when nothing has come in time; the probe stands still then. */
  onSilence(): void
}

const EVERY_MS = 10_000
const ANSWER_MS = 5000
const HEADER = 'ra-probe'

/**
 * Sends the reader of replies a message of its own every ten seconds. A consumer can be lost while its connection, its
 * channel and its heartbeats are sound; requests would be published then, and none would ever be answered in time.
 */
export class SelfProbe {
  readonly #options: SelfProbeOptions
  #hasHeard = true
  #cancel: (() => void) | undefined

  constructor(options: SelfProbeOptions) {
    this.#options = options
  }

  start(): void {
    this.stop()
    this.#cancel = this.#options.clock.setTimer(() => this.#ask(), EVERY_MS, true)
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** Something has come, whatever it was. */
  heard(): void {
    this.#hasHeard = true
  }

  #ask(): void {
    this.#hasHeard = false
    if (!this.#options.send()) this.start()
    else this.#cancel = this.#options.clock.setTimer(() => this.#judge(), ANSWER_MS, true)
  }

  #judge(): void {
    if (this.#hasHeard) this.start()
    else this.#options.onSilence()
  }
}

/** Publishes a probe into a queue; what is not read in time the broker drops. */
export function sendProbe(channel: AmqpChannel, queue: string): void {
  const expiration = String(EVERY_MS)
  channel.publish('', queue, Buffer.alloc(0), { expiration, headers: { [HEADER]: '1' } })
}

/** Whether a message is a probe, and no business of anybody but its reader. */
export function isProbe({ properties: { headers }, content }: AmqpMessage): boolean {
  return content.length === 0 && headers !== undefined && headers !== null && Object.hasOwn(headers, HEADER)
}
