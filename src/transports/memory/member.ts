import type { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import type { Fifo } from '../../core/fifo.js'
import type { Delivery, MessageHandler, Settlement } from '../../core/transport.js'

/** A message in a group. Its number tells its age, also after a redelivery. */
export interface Entry {
  readonly message: EventMessage
  readonly number: number
  readonly attempt: number
  readonly queue: Fifo<Entry>
}

/** A reader's part in a group. Whatever its handler throws, rejects or returns, only a settlement gets out. */
export class Member {
  /** How many messages it takes at a time; 0 while it has to stand still. */
  concurrency: number
  readonly caughtUp: Promise<void>
  /** Resolves to the reason when it was ended for being too far behind. */
  readonly ended: Promise<unknown>
  readonly #onMessage: MessageHandler
  readonly #queues: readonly Fifo<Entry>[]
  #open = true
  #running = 0
  /** What has to be handled before it has caught up, and up to which number. */
  #history = { end: 0, left: 0 }
  #end: (reason: unknown) => void = ignore
  #reach: () => void = ignore
  #fail: (error: GatewayError) => void = ignore
  #idle: (() => void)[] = []

  constructor(onMessage: MessageHandler, queues: readonly Fifo<Entry>[], concurrency = Number.POSITIVE_INFINITY) {
    this.#onMessage = onMessage
    this.#queues = queues
    this.concurrency = concurrency
    this.caughtUp = new Promise((resolve, reject) => {
      this.#reach = resolve
      this.#fail = reject
    })
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    // Most users do not wait for it.
    this.caughtUp.catch(ignore)
  }

  /** Says what is there before this member: `left` unsettled messages, none of them newer than `end`. */
  expect(left: number, end: number): void {
    this.#history = { end, left }
    if (left === 0) this.#reach()
  }

  /** Hears of every message that its group is done with. */
  handled(number: number): void {
    if (this.#history.left === 0 || number > this.#history.end) return
    this.#history.left -= 1
    if (this.#history.left === 0) this.#reach()
  }

  /** The oldest message for this member, if it has room for one. */
  take(): Entry | undefined {
    if (!this.#open || this.#running >= this.concurrency) return undefined
    let oldest: Entry | undefined
    for (const { first } of this.#queues) {
      if (first !== undefined && (oldest === undefined || first.number < oldest.number)) oldest = first
    }
    return oldest?.queue.shift()
  }

  /** Calls the handler, and then gives `settled` what it has settled on. */
  call(message: EventMessage, delivery: Delivery, settled: (settlement: Settlement) => void): void {
    this.#running += 1
    this.#outcome(message, delivery).then(
      (settlement) => this.#finish(settlement ?? 'ack', settled),
      () => this.#finish('requeue', settled),
    )
  }

  /** The handler's answer, also when it throws before it can make a promise. */
  #outcome(message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
    try {
      return Promise.resolve(this.#onMessage(message, delivery))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #finish(settlement: Settlement, settled: (settlement: Settlement) => void): void {
    this.#running -= 1
    // Before the reader counts as closed: what it gives back must be in the group by then.
    settled(settlement)
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Tells its user that it will get nothing more, for a reason that is not the user's. */
  end(reason: unknown): void {
    this.#end(reason)
  }

  /** Takes no more messages, and resolves when the running calls have settled. */
  async close(error: GatewayError): Promise<void> {
    this.#open = false
    this.#fail(error)
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }
}

function ignore(): void {}
