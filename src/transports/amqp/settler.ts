import type { Clock } from '../../core/clock.js'
import type { AmqpChannel } from './client.js'

/**
 * Settles the deliveries of one channel. Acknowledgements of one turn of the event loop go out together: one frame for
 * all that are done from the oldest on, and one for each that is done before an older one.
 */
export class Settler {
  readonly #channel: AmqpChannel
  readonly #clock: Clock
  /** Delivery tags that are not settled, in their order. */
  readonly #open = new Set<number>()
  #done: number[] = []
  #isLost = false

  constructor(channel: AmqpChannel, clock: Clock) {
    this.#channel = channel
    this.#clock = clock
  }

  /** How many deliveries the broker waits for. */
  get size(): number {
    return this.#open.size
  }

  delivered(tag: number): void {
    this.#open.add(tag)
  }

  ack(tag: number): void {
    if (this.#done.push(tag) === 1) this.#clock.setImmediate(() => this.flush())
  }

  /** Gives a delivery back to the queue, or to the dead letters. */
  nack(tag: number, requeue: boolean): void {
    if (this.#open.delete(tag)) this.#send(() => this.#channel.nack(delivery(tag), false, requeue))
  }

  /** Sends the acknowledgements that wait. */
  flush(): void {
    const done = new Set(this.#done)
    this.#done = []
    let upTo = 0
    for (const tag of this.#open) {
      if (!done.delete(tag)) break
      upTo = tag
      this.#open.delete(tag)
    }
    if (upTo > 0) this.#send(() => this.#channel.ack(delivery(upTo), true))
    for (const tag of done) if (this.#open.delete(tag)) this.#send(() => this.#channel.ack(delivery(tag)))
  }

  /** The channel is gone; the broker delivers again what was not settled. */
  lost(): void {
    this.#isLost = true
    this.#open.clear()
    this.#done = []
  }

  #send(frame: () => void): void {
    if (this.#isLost) return
    try {
      frame()
    } catch {
      // The channel closes at this moment, and says so by its own event; everything comes again.
      this.lost()
    }
  }
}

function delivery(deliveryTag: number) {
  return { fields: { deliveryTag } }
}
