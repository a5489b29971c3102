import { GatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import type { LogFacts } from '../core/transport.js'
import { createGate } from './copy.js'
import type { ReadModelSettings } from './settings.js'

/** Checks that the log of a replay keeps what a rebuild needs. A transport that says nothing of its log is believed. */
export class LogCheck {
  readonly #settings: ReadModelSettings
  readonly #gate = createGate()
  readonly #report: (error: GatewayError) => void
  #log: LogFacts | undefined
  #isRefused = false
  #isCaughtUp = false

  constructor(settings: ReadModelSettings, report: (error: GatewayError) => void) {
    this.#settings = settings
    this.#report = report
  }

  /** True when events were found that other events may have replaced: what was read is then no state to keep. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /**
   * Takes what the reader says of its log.
   * @throws GatewayError ERR_NOT_REBUILDABLE where old events go, and nothing else has what was in them.
   */
  begin(log: LogFacts | undefined): void {
    this.#log = log
    const { projection, store, load } = this.#settings
    if (log?.dropsOld === undefined || store !== undefined || load !== undefined) return
    const text = `The log of the read model ${projection.name} drops old events (${log.dropsOld}), so that a later start could not rebuild it`
    const remedy = 'Set unlimited retention (on Kafka retention.ms=-1 and retention.bytes=-1)'
    throw new GatewayError('ERR_NOT_REBUILDABLE', `${text}. ${remedy}, or give it a store for snapshots, or load().`)
  }

  /** Looks at an event that changes the row `key`: compaction drops it where another row's event has its key. */
  look(message: EventMessage, key: string): void {
    if (this.#isRefused || this.#log?.isCompacted !== true || message.key === key) return
    this.#isRefused = true
    const error = this.#wrongKey(message.type)
    // What was read live is all there: only the next start would miss something.
    if (this.#isCaughtUp) this.#report(error)
    else this.#gate.fail(error)
  }

  /** Resolves like `caughtUp`, or rejects as soon as an event was found that is not keyed by its row. */
  async until(caughtUp: Promise<void>): Promise<void> {
    await Promise.race([caughtUp, this.#gate.passed])
    if (this.#isRefused) await this.#gate.passed
    this.#isCaughtUp = true
  }

  #wrongKey(type: string): GatewayError {
    const { name } = this.#settings.projection
    const text = `The read model ${name} cannot be rebuilt: its log is compacted, and the key of an event ${type} is not that of the state it changes, so that events of other states replace it`
    const remedy = "Publish results under the key that the projection's `key` gives, or set cleanup.policy=delete."
    return new GatewayError('ERR_NOT_REBUILDABLE', `${text}. ${remedy}`)
  }
}
