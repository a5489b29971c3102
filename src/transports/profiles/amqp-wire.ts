import type { EventMessage } from '../../core/event.js'

/** The basic properties of a message as amqplib names them, as far as they are used. */
export interface AmqpProperties {
  readonly messageId?: string | undefined
  readonly correlationId?: string | undefined
  readonly type?: string | undefined
  /** In seconds since the epoch. */
  readonly timestamp?: number | undefined
  readonly contentType?: string | undefined
  readonly appId?: string | undefined
  readonly replyTo?: string | undefined
  /** 2 is persistent. */
  readonly deliveryMode?: number | boolean | undefined
  readonly headers?: Readonly<Record<string, unknown>> | undefined
}

/** What a message is on the wire, without its addresses. */
export interface AmqpContent {
  readonly properties: AmqpProperties
  readonly body: Uint8Array
}

/** What is known of a received message beside its content, for what the content lacks. */
export interface Surroundings {
  /** The type that its routing key or queue stands for; empty where that says nothing. */
  readonly type: string
  /** True when somebody awaits that type, so that nothing else needs to be asked for it. */
  readonly isAwaited?: boolean | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Tells messages with the same content apart, such as equal values of one answer. */
  readonly tag?: number | undefined
}

/**
 * How events and messages are turned into one another: two pure functions. A header profile is such a pair.
 */
export interface AmqpBinding {
  write(message: EventMessage): AmqpContent
  read(content: AmqpContent, surroundings: Surroundings): EventMessage
}
