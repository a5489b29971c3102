import type { EventMessage } from '../../core/event.js'

/** A header as it is on the wire; the same name may come twice. */
export type Header = readonly [name: string, value: Uint8Array | null]

/** A record to be written. */
export interface OutgoingRecord {
  readonly topic: string
  /** Records of one key go to one partition, and keep their order. */
  readonly key: Buffer | null
  readonly value: Buffer
  readonly headers: readonly (readonly [name: string, value: Buffer])[]
}

/** A record that was read. */
export interface IncomingRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  /** When it was written, in milliseconds since the epoch. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly Header[]
}

/** How events look on the wire: a pair of pure functions. */
export interface KafkaBinding {
  readonly name: string
  toRecord(message: EventMessage, topic: string): OutgoingRecord
  /** `isAwaited`: the name of its topic is a type that its reader awaits. */
  fromRecord(record: IncomingRecord, isAwaited?: boolean): EventMessage
}
