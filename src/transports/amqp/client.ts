import type { AmqpProperties } from '../profiles/amqp-wire.js'

/** A message as the broker delivers it. */
export interface AmqpMessage {
  readonly content: Uint8Array
  readonly fields: {
    readonly deliveryTag: number
    readonly redelivered: boolean
    readonly exchange: string
    readonly routingKey: string
  }
  readonly properties: AmqpProperties
}

/** A message that nothing was bound for; the broker gives it back before it confirms it. */
export type ReturnedMessage = Pick<AmqpMessage, 'content' | 'properties'>

/** How a message is to be published. */
export interface AmqpPublishOptions extends AmqpProperties {
  readonly mandatory?: boolean
}

/** How a message that only its sender reads is published. */
export interface ProbeOptions {
  /** After so many milliseconds the broker drops it. */
  readonly expiration?: string
  readonly messageId?: string
  readonly headers?: Readonly<Record<string, unknown>>
}

/** Arguments of queues and consumers. */
export type AmqpArguments = Readonly<Record<string, unknown>>

/** What the broker says of a queue. */
export interface QueueState {
  readonly queue: string
  readonly messageCount: number
  readonly consumerCount: number
}

type Listener = (...args: never[]) => void

/** A channel of amqplib, as far as it is used. */
export interface AmqpChannel {
  assertExchange(name: string, type: string, options?: { readonly durable?: boolean }): Promise<unknown>
  checkExchange(name: string): Promise<unknown>
  assertQueue(
    name: string,
    options?: { readonly durable?: boolean; readonly exclusive?: boolean; readonly arguments?: AmqpArguments },
  ): Promise<QueueState>
  checkQueue(name: string): Promise<QueueState>
  deleteQueue(name: string): Promise<unknown>
  purgeQueue(name: string): Promise<unknown>
  bindQueue(queue: string, exchange: string, pattern: string): Promise<unknown>
  prefetch(count: number): Promise<unknown>
  consume(
    queue: string,
    onMessage: (message: AmqpMessage | null) => void,
    options?: { readonly noAck?: boolean; readonly arguments?: AmqpArguments },
  ): Promise<{ readonly consumerTag: string }>
  cancel(consumerTag: string): Promise<unknown>
  ack(message: { readonly fields: { readonly deliveryTag: number } }, allUpTo?: boolean): void
  nack(message: { readonly fields: { readonly deliveryTag: number } }, allUpTo?: boolean, requeue?: boolean): void
  publish(...message: readonly [exchange: string, routingKey: string, content: Buffer, options?: ProbeOptions]): boolean
  close(): Promise<void>
  on(event: string, listener: Listener): unknown
}

/** A channel on which the broker confirms what is published. */
export interface AmqpConfirmChannel extends AmqpChannel {
  publish(
    ...message: readonly [
      exchange: string,
      routingKey: string,
      content: Buffer,
      options?: AmqpPublishOptions,
      onConfirmed?: (error: unknown) => void,
    ]
  ): boolean
}

/** A connection of amqplib's promise API, as far as it is used. */
export interface AmqpConnection {
  createChannel(): Promise<AmqpChannel>
  createConfirmChannel(): Promise<AmqpConfirmChannel>
  close(): Promise<void>
  on(event: string, listener: Listener): unknown
}

/** What is used of the module `amqplib`. */
export interface AmqpClient {
  connect(url: string, socketOptions?: Readonly<Record<string, unknown>>): Promise<AmqpConnection>
}
