import { isMissing } from './errors.js'
import type { KafkajsProducer } from './types.js'

type Batch = Parameters<KafkajsProducer['sendBatch']>[0]

interface Held {
  readonly producer: KafkajsProducer
  hasWritten: boolean
  calls: number
}

/**
 * Writes by one producer at a time. kafkajs asks for all topics at once that a producer has ever written to, and so
 * fails for every topic when one of them is gone: only another producer has forgotten it.
 */
export class Producers {
  readonly #make: () => KafkajsProducer
  #current: Held | undefined
  #renewal: Promise<Held> | undefined

  constructor(make: () => KafkajsProducer) {
    this.#make = make
  }

  async connect(): Promise<void> {
    this.#current = await this.#open()
  }

  async close(): Promise<void> {
    const held = this.#current
    this.#current = undefined
    await held?.producer.disconnect()
  }

  async send(batch: Batch): Promise<void> {
    const held = this.#current
    if (held === undefined) throw new Error('The client is not connected.')
    try {
      await this.#sendBy(held, batch)
    } catch (error) {
      if (!isMissing(error) || !held.hasWritten) throw error
      await this.#sendBy(await this.#renewed(held), batch)
    }
  }

  async #sendBy(held: Held, batch: Batch): Promise<void> {
    held.calls += 1
    try {
      await held.producer.sendBatch(batch)
      held.hasWritten = true
    } finally {
      held.calls -= 1
      this.#release(held)
    }
  }

  async #renewed(old: Held): Promise<Held> {
    if (this.#current !== undefined && this.#current !== old) return this.#current
    this.#renewal ??= this.#renew(old).finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  async #renew(old: Held): Promise<Held> {
    const fresh = await this.#open()
    // Closed meanwhile: it is disconnected behind its call.
    if (this.#current === old) this.#current = fresh
    this.#release(old)
    return fresh
  }

  async #open(): Promise<Held> {
    const producer = this.#make()
    await producer.connect()
    return { producer, hasWritten: false, calls: 0 }
  }

  /** What others still write by the old one must not lose its connection. */
  #release(held: Held): void {
    if (held !== this.#current && held.calls === 0) held.producer.disconnect().catch(() => {})
  }
}
