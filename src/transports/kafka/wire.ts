import type { EventMessage } from '../../core/event.js'
import type { IncomingRecord, OutgoingRecord } from './client.js'

/** How events look on the wire: a pair of pure functions. */
export interface KafkaBinding {
  readonly name: string
  toRecord(message: EventMessage, topic: string): OutgoingRecord
  /** `isAwaited`: the name of its topic is a type that its reader awaits. */
  fromRecord(record: IncomingRecord, isAwaited?: boolean): EventMessage
}
