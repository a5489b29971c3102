import type { Clock } from '../../core/clock.js'
import type { EventMessage } from '../../core/event.js'
import { Fifo } from '../../core/fifo.js'
import type { Delivery, MessageHandler, Settlement } from '../../core/transport.js'
import type { IncomingRecord } from '../profiles/kafka-wire.js'
import type { PartitionId } from './client.js'
import type { PartitionLog } from './partition-log.js'

/** A message between its partition and its handler. */
export interface Entry {
  readonly message: EventMessage
  readonly record: IncomingRecord
  readonly partition: PartitionId
  /** The log it belongs to; a partition that comes back later has another one. */
  readonly log: PartitionLog
  readonly attempt: number
  readonly position?: string
}

/** How an inlet works, and whom it tells. */
export interface InletParts {
  readonly onMessage: MessageHandler
  readonly concurrency: number
  /** True: a message that comes again holds up all others. */
  readonly isInOrder: boolean
  readonly clock: Clock
  /** False for messages of partitions that this reader has no more. */
  isWanted(entry: Entry): boolean
  /** Called once for each message, when its handler is done with it. */
  settled(entry: Entry, settlement: 'ack' | 'park'): void
  /** True when a message whose handler has thrown this need not come again. */
  isHopeless(entry: Entry, error: unknown): boolean
  /** The same with bytes of its own, as it will stay for a while. */
  detached(entry: Entry): Entry
}

const FIRST: Delivery = Object.freeze({ attempt: 1 })
const LONGEST_PAUSE_MS = 1000

/** Hands messages to a handler, so many at a time, and again those that it could not handle. */
export class Inlet {
  readonly #parts: InletParts
  readonly #queue = new Fifo<Entry>()
  readonly #pauses = new Set<() => void>()
  #running = 0
  #isOpen = true
  #isStanding = false
  #idle: (() => void)[] = []

  constructor(parts: InletParts) {
    this.#parts = parts
  }

  push(entry: Entry): void {
    this.#queue.push(entry)
  }

  /** Hands out what there is room for. */
  pump(): void {
    while (this.#isOpen && !this.#isStanding && this.#running < this.#parts.concurrency) {
      const entry = this.#queue.shift()
      if (entry === undefined) return
      if (this.#parts.isWanted(entry)) this.#call(entry)
    }
  }

  /** Takes no more messages, and resolves when the running handlers are done. */
  async close(): Promise<void> {
    this.#isOpen = false
    for (const cancel of this.#pauses) cancel()
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #call(entry: Entry): void {
    this.#running += 1
    const { attempt, position } = entry
    const delivery = position !== undefined ? { attempt, position } : attempt === 1 ? FIRST : { attempt }
    outcomeOf(this.#parts.onMessage, entry.message, delivery).then(
      (settlement) => this.#finish(entry, settlement ?? 'ack'),
      (error: unknown) => this.#finish(entry, this.#parts.isHopeless(entry, error) ? 'park' : 'requeue'),
    )
  }

  #finish(entry: Entry, settlement: Settlement): void {
    this.#running -= 1
    // What cannot be read is to be found among the dead letters, whatever its handler says.
    if (settlement === 'requeue') this.#retry(entry)
    else this.#parts.settled(entry, entry.message.isUnreadable ? 'park' : settlement)
    this.pump()
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Tries again after 10 ms, 20 ms, 40 ms up to 1 s: Kafka itself gives a record again only after a restart. */
  #retry(entry: Entry): void {
    const { isInOrder, clock, detached } = this.#parts
    const again = { ...(entry.attempt === 1 ? detached(entry) : entry), attempt: entry.attempt + 1 }
    entry.log.fail(entry.record.offset)
    if (isInOrder) this.#isStanding = true
    const enqueue = () => {
      this.#pauses.delete(cancel)
      this.#isStanding = false
      if (isInOrder) this.#queue.unshift(again)
      else this.#queue.push(again)
      this.pump()
    }
    const cancel = clock.setTimer(enqueue, Math.min(10 * 2 ** (entry.attempt - 1), LONGEST_PAUSE_MS))
    this.#pauses.add(cancel)
  }
}

/** The handler's answer, also when it throws before it can make a promise. */
export function outcomeOf(
  handler: MessageHandler,
  message: EventMessage,
  delivery: Delivery,
): Promise<Settlement | undefined> {
  try {
    return Promise.resolve(handler(message, delivery))
  } catch (error) {
    return Promise.reject(error)
  }
}
