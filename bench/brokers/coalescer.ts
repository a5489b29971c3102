import type { MessageToProduce } from '@platformatic/kafka'

/** A record to be produced. */
export type Outgoing = MessageToProduce<Buffer, Buffer, string, string>

interface Entry {
  readonly message: Outgoing
  resolve(): void
  reject(error: unknown): void
}

/** What is used of a producer. */
interface Sender {
  send(options: { messages: Outgoing[]; acks: number }): Promise<unknown>
}

const ALL = -1
const IN_FLIGHT = 5

/** Produces what comes in one turn of the event loop, or while five calls are under way, in one call with acks=all. */
export class Coalescer {
  readonly #producer: Sender
  #entries: Entry[] = []
  #calls = 0
  #isScheduled = false

  constructor(producer: Sender) {
    this.#producer = producer
  }

  send(message: Outgoing): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#entries.push({ message, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#calls >= IN_FLIGHT || this.#entries.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#flush(this.#entries.splice(0))
    })
  }

  async #flush(entries: readonly Entry[]): Promise<void> {
    this.#calls += 1
    try {
      await this.#producer.send({ messages: entries.map(({ message }) => message), acks: ALL })
      for (const { resolve } of entries) resolve()
    } catch (error) {
      for (const { reject } of entries) reject(error)
    }
    this.#calls -= 1
    this.#schedule()
  }
}
