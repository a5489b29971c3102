import type { Clock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import type { OutgoingRecord } from '../profiles/kafka-wire.js'
import { type KafkaClient, ProduceError } from './client.js'

interface Waiting {
  readonly record: OutgoingRecord
  readonly bytes: number
  /** Undefined without a key: then no order is promised. */
  readonly lane: string | undefined
  resolve(): void
  reject(error: unknown): void
}

/** What a publisher needs. */
export interface PublisherParts {
  readonly client: Pick<KafkaClient, 'produce'>
  readonly clock: Clock
  /** How many produce calls may be under way. */
  readonly inFlight: number
  /** Called when a topic does not exist, or takes less than a record has: what is known of it may be old. */
  refusedBy(topic: string): void
}

/** Records of one call: brokers take a MiB per partition by default, and a call is one request to each of them. */
const BATCH_BYTES = 900_000
/** At most, of lengths and offsets around a record, and around one of its headers. */
const FRAME_BYTES = 64
const HEADER_FRAME_BYTES = 10
/**
 * Clients write a call from dozens of small buffers for each record, all of which live until it is complete: those of
 * more records would outlive the young generation, and cost twice the CPU.
 */
const BATCH_RECORDS = 256

/**
 * Writes records in few calls: all of one turn of the event loop, or, while as many calls as may be are under way, all
 * that come in the meantime. A key is in one call at a time, so its records keep their order whatever fails.
 */
export class Publisher {
  readonly #parts: PublisherParts
  #waiting: Waiting[] = []
  readonly #lanes = new Set<string>()
  #calls = 0
  #scheduled = false

  constructor(parts: PublisherParts) {
    this.#parts = parts
  }

  /** Resolves when the broker has the record. */
  publish(record: OutgoingRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      const lane = record.key === null ? undefined : `${record.topic}\0${record.key.toString('latin1')}`
      this.#waiting.push({ record, bytes: sizeOf(record), lane, resolve, reject })
      this.#schedule()
    })
  }

  // After the input that is waiting: the requests of one turn come from many sockets.
  #schedule(): void {
    if (this.#scheduled || this.#calls >= this.#parts.inFlight || this.#waiting.length === 0) return
    this.#scheduled = true
    this.#parts.clock.setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    while (this.#calls < this.#parts.inFlight) {
      const batch = this.#take()
      if (batch.length === 0) return
      void this.#send(batch)
    }
  }

  /** The oldest records whose keys are in no call; none that comes behind the first for which there is no room. */
  #take(): Waiting[] {
    const batch: Waiting[] = []
    const heldBack: Waiting[] = []
    let bytes = 0
    let seen = 0
    for (const waiting of this.#waiting) {
      const { lane } = waiting
      if (batch.length >= BATCH_RECORDS || (batch.length > 0 && bytes + waiting.bytes > BATCH_BYTES)) break
      seen += 1
      if (lane !== undefined && this.#lanes.has(lane)) heldBack.push(waiting)
      else {
        bytes += waiting.bytes
        batch.push(waiting)
      }
    }
    this.#waiting = heldBack.concat(this.#waiting.slice(seen))
    for (const { lane } of batch) if (lane !== undefined) this.#lanes.add(lane)
    return batch
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    this.#calls += 1
    await this.#produce(batch)
    this.#calls -= 1
    for (const { lane } of batch) if (lane !== undefined) this.#lanes.delete(lane)
    this.#schedule()
  }

  /** Never rejects. */
  async #produce(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#parts.client.produce(batch.map(({ record }) => record))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      await this.#refuse(batch, error)
    }
  }

  /** One bad record must not refuse the others: what was rejected in company is tried alone. */
  async #refuse(batch: readonly Waiting[], error: unknown): Promise<void> {
    const refusal = error instanceof ProduceError ? error.refusal : 'unknown'
    if (batch.length === 1 || refusal === 'unknown' || refusal === 'unavailable') {
      for (const { reject, record } of batch) reject(this.#toPublishError(error, record.topic))
      return
    }
    const byTopic = refusal === 'missing' ? topicsOf(batch) : []
    // No key is on two topics, so they need not wait for each other.
    if (byTopic.length > 1) await Promise.all(byTopic.map((part) => this.#produce(part)))
    else for (const waiting of batch) await this.#produce([waiting])
  }

  /** The two certain codes only when the record was certainly not written. */
  #toPublishError(error: unknown, topic: string): unknown {
    if (!(error instanceof ProduceError) || error.refusal === 'unknown') return error
    const { cause, isPermanent, refusal } = error
    if (refusal === 'unavailable') {
      const text = `No Kafka broker can be reached to write to ${topic}.`
      return new GatewayError('ERR_TRANSPORT_UNAVAILABLE', text, { cause, outcome: 'not-accepted' })
    }
    if (refusal === 'missing' || isPermanent) this.#parts.refusedBy(topic)
    const text =
      refusal === 'missing' ? noTopic(topic) : `Kafka did not take a message for the topic ${topic}: ${error.message}`
    return new GatewayError('ERR_PUBLISH_REJECTED', text, { cause, isPermanent, outcome: 'not-accepted' })
  }
}

/** What is said of a topic that does not exist. */
export function noTopic(topic: string): string {
  return `Kafka has no topic ${topic}.`
}

function topicsOf(batch: readonly Waiting[]): Waiting[][] {
  const topics = new Map<string, Waiting[]>()
  for (const waiting of batch) {
    const known = topics.get(waiting.record.topic)
    if (known === undefined) topics.set(waiting.record.topic, [waiting])
    else known.push(waiting)
  }
  return [...topics.values()]
}

/** At least what it takes on the wire, as far as it is not compressed: the name of a header may be no ASCII. */
function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let size = FRAME_BYTES + value.length + (key === null ? 0 : key.length)
  // By number, as this is done for every record: an iterator costs four times as much.
  for (let at = 0; at < headers.length; at += 1) {
    const header = headers[at] as OutgoingRecord['headers'][number]
    size += HEADER_FRAME_BYTES + 3 * header[0].length + header[1].length
  }
  return size
}
