import type { Clock } from '../../core/clock.js'
import type { AmqpContent } from '../profiles/amqp-wire.js'
import type { AmqpMessage } from './client.js'

/** How a reader finds out that it has gone deaf. */
export interface SelfProbeOptions {
  readonly clock: Clock
  /** True where what is sent stays: nothing is sent while other messages come. */
  readonly isSparing?: boolean
  /** Sends a message that comes back to the reader; undefined when there is no point in it now. */
  send(): Promise<void> | undefined
  /** True while the broker takes no messages. */
  isBlocked(): boolean
  /** Called once when nothing has come in time; the probe stands still then. */
  onSilence(): void
}

const EVERY_MS = 10_000
const ANSWER_MS = 5000
const HEADER = 'ra-probe'

/**
 * Sends a reader a message of its own every ten seconds, or once none has come for so long. A consumer can be lost while
 * its connection, its channel and its heartbeats are sound; requests would be published then, and none would ever be
 * answered in time.
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
    const { clock, isSparing = false, isBlocked, send } = this.#options
    const isSpared = isSparing && this.#hasHeard
    this.#hasHeard = false
    const sent = isSpared || isBlocked() ? undefined : send()
    if (sent === undefined) {
      this.start()
      return
    }
    // What could not be sent says nothing about those who read.
    sent.catch(() => this.heard())
    this.#cancel = clock.setTimer(() => this.#judge(), ANSWER_MS, true)
  }

  #judge(): void {
    // The probe itself may be what has told the broker to say so: it comes when the broker takes messages again.
    if (this.#hasHeard || this.#options.isBlocked()) this.start()
    else this.#options.onSilence()
  }
}

/** What a probe is; what is not read in time the broker drops. */
export function probeContent(): AmqpContent {
  const properties = { expiration: String(EVERY_MS), headers: { [HEADER]: '1' } }
  return { properties, body: new Uint8Array(0) }
}

/** Whether a message is a probe, and no business of anybody but its reader. */
export function isProbe({ properties: { headers }, content }: AmqpMessage): boolean {
  return content.length === 0 && headers !== undefined && headers !== null && Object.hasOwn(headers, HEADER)
}
