import type { Clock } from '../../core/clock.js'
import { toGatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import type { Reading as Kind, MessageHandler, Subscription } from '../../core/transport.js'
import type { IncomingRecord, KafkaBinding } from '../profiles/kafka-wire.js'
import { native } from './binding.js'
import type { PartitionId } from './client.js'
import { type Entry, Inlet, outcomeOf } from './inlet.js'
import type { PartitionLog } from './partition-log.js'
import { pause } from './waiting.js'

/** What a handover is given, and whom it tells. */
export interface HandoverParts {
  readonly binding: KafkaBinding
  readonly clock: Clock
  readonly subscription: Subscription
  readonly onMessage: MessageHandler
  /** Puts aside a record that cannot be handled; what it throws is tried again. */
  park(record: IncomingRecord): Promise<void>
  /** Something that no call can report. */
  warn(text: string, cause?: unknown): void
  failed(error: unknown): void
  /** False for messages of partitions that this reader has no more. */
  isWanted(entry: Entry): boolean
  /** Where a replay stands. */
  position(): string
  /** Called once for each message of a shared reader or a replay, when nothing is left to be done with it. */
  settled(entry: Entry): void
}

const AGAIN_MS = 1000
const OWN_CONCURRENCY = 256
const TOLD_LIMIT = 20
const FIRST = Object.freeze({ attempt: 1 })

/** How many messages of a reading are handled at a time. */
export function concurrencyOf(reading: Kind): number {
  if (reading.kind === 'replay') return 1
  return (reading.kind === 'shared' && reading.concurrency) || OWN_CONCURRENCY
}

/** What becomes of a record from when it was read until it is settled: a message, its handler, perhaps the dead letters. */
export class Handover {
  readonly #parts: HandoverParts
  readonly #kind: Kind['kind']
  readonly #wanted: ReadonlySet<string> | undefined
  readonly #awaited: ReadonlySet<string>
  readonly #inlet: Inlet
  /** Types of requests that have no handler here, as far as they have been told of. */
  readonly #passedOver = new Set<string>()
  #isClosed = false

  constructor(parts: HandoverParts) {
    const { onMessage, clock, subscription } = parts
    const { channel, types, reading } = subscription
    this.#parts = parts
    this.#kind = reading.kind
    // Results may be named by their readers; requests of other types are other workers' business.
    this.#awaited = new Set(types)
    this.#wanted = channel === 'requests' ? this.#awaited : undefined
    this.#inlet = new Inlet({
      onMessage,
      concurrency: concurrencyOf(reading),
      clock,
      isInOrder: reading.kind === 'replay',
      isWanted: (entry) => parts.isWanted(entry),
      // What a store or a broker that is away has failed is handled when that is back, however much comes meanwhile.
      isHopeless: ({ log, record, attempt }, error) =>
        reading.kind === 'shared' && attempt > 1 && !toGatewayError(error).retryable && log.isFarBehind(record.offset),
      detached: (entry) => this.#detached(entry),
      settled: (entry, settlement) => void this.#settle(entry, settlement),
    })
  }

  take(partition: PartitionId, log: PartitionLog, record: IncomingRecord): void {
    const message = this.#messageOf(record)
    if (this.#wanted !== undefined && !this.#wanted.has(message.type)) {
      this.#passOver(message.type, record.topic)
      return
    }
    if (this.#kind === 'own') {
      // Delivered once whatever becomes of it, so there is nothing to keep.
      void outcomeOf(this.#parts.onMessage, message, FIRST).catch(ignore)
      return
    }
    log.add(record.offset, sizeOf(record))
    const entry = { message, record, partition, log, attempt: 1 }
    this.#inlet.push(this.#kind === 'replay' ? { ...entry, position: this.#parts.position() } : entry)
  }

  /** Hands out what there is room for. */
  pump(): void {
    this.#inlet.pump()
  }

  /** Hands out nothing more, and resolves when the running handlers are done. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.#inlet.close()
  }

  /** Said once for each type: nothing else would tell that a request is lost as two kinds of workers are one group. */
  #passOver(type: string, topic: string): void {
    if (this.#passedOver.has(type) || this.#passedOver.size >= TOLD_LIMIT) return
    this.#passedOver.add(type)
    const { reading } = this.#parts.subscription
    const group = reading.kind === 'shared' ? reading.group : ''
    const rule = `Workers of one group must handle the same types: give those that handle ${type} another one.`
    this.#parts.warn(
      `Requests ${type} of ${topic} have no handler here and are passed over by the group ${group}. ${rule}`,
    )
  }

  /** What its binding cannot read is shown as it is: whoever wrote it must not stop the partition. */
  #messageOf(record: IncomingRecord): EventMessage {
    try {
      return this.#parts.binding.fromRecord(record, this.#awaited.has(record.topic))
    } catch (error) {
      this.#parts.warn(`A record of ${record.topic} cannot be read.`, error)
      return native.fromRecord(record)
    }
  }

  /** What a client gives are views of all that came in one answer, other people's records too. */
  #detached(entry: Entry): Entry {
    const { key, value, headers } = entry.record
    const copies = headers.map(([name, bytes]) => [name, copyOf(bytes)] as const)
    const record = { ...entry.record, key: copyOf(key), value: copyOf(value), headers: copies }
    return { ...entry, record, message: this.#messageOf(record) }
  }

  async #settle(entry: Entry, settlement: 'ack' | 'park'): Promise<void> {
    if (settlement === 'park' && this.#kind === 'shared' && !(await this.#park(entry))) return
    this.#parts.settled(entry)
  }

  /** False when it was closed before the record was put aside: then the next reader gets it. */
  async #park({ record }: Entry): Promise<boolean> {
    while (!this.#isClosed) {
      try {
        await this.#parts.park(record)
        return true
      } catch (error) {
        this.#parts.failed(error)
        await pause(this.#parts.clock, AGAIN_MS)
      }
    }
    return false
  }
}

function sizeOf({ key, value, headers }: IncomingRecord): number {
  let bytes = (key?.byteLength ?? 0) + (value?.byteLength ?? 0)
  for (const [, header] of headers) bytes += header?.byteLength ?? 0
  return bytes
}

function copyOf(bytes: Uint8Array | null): Uint8Array | null {
  return bytes && Buffer.from(bytes)
}

function ignore(): void {}
