import type { Clock } from '../../core/clock.js'
import type { EventMessage } from '../../core/event.js'
import type { MessageHandler, Reader } from '../../core/transport.js'
import type { AmqpChannel, AmqpMessage, QueueState } from './client.js'
import type { Link } from './link.js'

/** What a reader of a queue of its own works with. */
export interface KeptOptions {
  readonly queue: string
  readonly clock: Clock
  readonly link: Link
  /** How long a lost connection may go on taking what is in the queue. */
  readonly lingersMs: number
  /** True when what was in the queue is of no use. */
  readonly isNew: boolean
  readonly onMessage: MessageHandler
  /** Rejects when somebody else goes on reading the queue. */
  whenAlone(): Promise<void>
  /** Gives the position to begin behind, once the queue is there. */
  prepare(channel: AmqpChannel): Promise<string>
  /** Never declares it: one that is made anew has a gap. */
  check(channel: AmqpChannel): Promise<QueueState>
  /** Throws when the message cannot be understood. */
  parse(message: AmqpMessage): EventMessage
  count(what: 'poison'): void
  /** Publishes a marker into the queue. Never over the link: what publishes is held up in an alarm, and must not read. */
  mark(id: string): Promise<void>
  /** True while the broker takes no messages. */
  isBlocked(): boolean
  onClosed(reader: Reader): void
}
