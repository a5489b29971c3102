import { GatewayError, isGatewayError } from '../../core/errors.js'
import type { IncomingRecord, OutgoingRecord } from '../profiles/kafka-wire.js'

/** Where records are put aside, and who is told. */
export interface DeadLettersParts {
  /** Undefined: they are left where they are. */
  readonly topic: string | undefined
  publish(record: OutgoingRecord): Promise<void>
  warn(text: string): void
  /** Called for each record of which the topic takes nothing. */
  report(error: GatewayError): void
}

/** Puts aside the records that no handler could handle, and counts them. */
export class DeadLetters {
  readonly #parts: DeadLettersParts
  #parked = 0

  constructor(parts: DeadLettersParts) {
    this.#parts = parts
  }

  get parked(): number {
    return this.#parked
  }

  /**
   * Resolves when nothing is left to be done with a record. One that the topic refuses for good stays readable where it
   * is, as that topic may stay as it is for long: to wait for it would stop all that is behind.
   */
  async park(record: IncomingRecord, group: string): Promise<void> {
    const { topic, warn } = this.#parts
    const what = `The group ${group} could not handle offset ${record.offset} of ${record.topic}:${record.partition}`
    if (topic === undefined) warn(`${what}; it is left behind (topics.deadLetters would keep it).`)
    else {
      const refusal = await this.#write(toDeadLetter(record, topic, group))
      if (refusal === undefined) warn(`${what}; it is put into ${topic}.`)
      else await this.#note(toStub(record, topic, { group, reason: refusal.message }), what)
    }
    this.#parked += 1
  }

  /** Writes where a record is of which the topic does not take more. */
  async #note(stub: OutgoingRecord, what: string): Promise<void> {
    const { report, warn } = this.#parts
    const refusal = await this.#write(stub)
    if (refusal === undefined) return warn(`${what}; only where it is could be put into ${stub.topic}.`)
    const text = `${what}, and it is left behind, as topics.deadLetters does not take it: ${refusal.message}`
    report(new GatewayError('ERR_PUBLISH_REJECTED', text, { cause: refusal }))
  }

  /** Gives the refusal that is for good; any other rejects. */
  async #write(record: OutgoingRecord): Promise<GatewayError | undefined> {
    try {
      await this.#parts.publish(record)
      return undefined
    } catch (error) {
      if (isGatewayError(error) && error.code === 'ERR_PUBLISH_REJECTED') return error
      throw error
    }
  }
}

function toDeadLetter(record: IncomingRecord, topic: string, group: string): OutgoingRecord {
  const { key, value, headers } = record
  const kept = headers.map(([name, bytes]) => [name, Buffer.from(bytes ?? [])] as const)
  const added = parkedHeaders(record, { group })
  return { topic, key: key && Buffer.from(key), value: Buffer.from(value ?? []), headers: [...kept, ...added] }
}

/** A key of its own, as a compacted topic takes nothing without. */
function toStub(record: IncomingRecord, topic: string, why: { group: string; reason: string }): OutgoingRecord {
  const key = Buffer.from(`${record.topic}:${record.partition}:${record.offset}`)
  const headers = parkedHeaders(record, { ...why, bytes: record.value?.byteLength ?? 0 })
  return { topic, key, value: Buffer.alloc(0), headers }
}

function parkedHeaders({ topic, partition, offset }: IncomingRecord, more: object): OutgoingRecord['headers'] {
  const all = Object.entries({ topic, partition, offset, ...more })
  return all.map(([name, what]) => [`parked_${name}`, Buffer.from(String(what))] as const)
}
