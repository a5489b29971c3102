import type { Channel, ConsumeMessage } from 'amqplib'

/** Acknowledges what is done, at the end of each turn of the event loop: one frame for all up to the oldest open one. */
export class Acks {
  readonly #channel: Channel
  readonly #open = new Set<number>()
  #last: number | undefined
  #acked = 0
  #isScheduled = false

  constructor(channel: Channel) {
    this.#channel = channel
  }

  /** Notes a delivery; the returned function is called when it is done. */
  take({ fields: { deliveryTag } }: ConsumeMessage): () => void {
    this.#open.add(deliveryTag)
    this.#last = deliveryTag
    return () => {
      this.#open.delete(deliveryTag)
      if (this.#isScheduled) return
      this.#isScheduled = true
      setImmediate(() => this.#flush())
    }
  }

  #flush(): void {
    this.#isScheduled = false
    const [oldest] = this.#open
    const upTo = oldest === undefined ? (this.#last ?? 0) : oldest - 1
    if (upTo <= this.#acked) return
    this.#acked = upTo
    this.#channel.ack({ fields: { deliveryTag: upTo } } as ConsumeMessage, true)
  }
}
