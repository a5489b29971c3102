import type { Clock } from '../../core/clock.js'
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

/** A message that still comes again when so many behind it could be read is put aside: it is not the surroundings. */
const HOPELESS_AFTER = 10_000n
const AGAIN_MS = 1000
const OWN_CONCURRENCY = 256
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
      isHopeless: ({ log, record, attempt }) =>
        reading.kind === 'shared' && attempt > 1 && log.next - record.offset > HOPELESS_AFTER,
      settled: (entry, settlement) => void this.#settle(entry, settlement),
    })
  }

  take(partition: PartitionId, log: PartitionLog, record: IncomingRecord): void {
    const message = this.#messageOf(record)
    if (this.#wanted !== undefined && !this.#wanted.has(message.type)) return
    if (this.#kind === 'own') {
      // Delivered once whatever becomes of it, so there is nothing to keep.
      void outcomeOf(this.#parts.onMessage, message, FIRST).catch(ignore)
      return
    }
    log.add(record.offset)
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

  /** What its binding cannot read is shown as it is: whoever wrote it must not stop the partition. */
  #messageOf(record: IncomingRecord): EventMessage {
    try {
      return this.#parts.binding.fromRecord(record, this.#awaited.has(record.topic))
    } catch (error) {
      this.#parts.warn(`A record of ${record.topic} cannot be read.`, error)
      return native.fromRecord(record)
    }
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

function ignore(): void {}
