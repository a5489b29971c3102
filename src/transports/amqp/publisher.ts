import { type ErrorDetails, GatewayError } from '../../core/errors.js'
import type { AmqpContent } from '../profiles/amqp-wire.js'
import type { AmqpConfirmChannel, AmqpConnection, AmqpMessage, ReturnedMessage } from './client.js'
import { codeOf, explainStep, limitIn, unavailable } from './failures.js'
import type { Part } from './link.js'
import { Unconfirmed } from './unconfirmed.js'

/** Where a message goes. */
export interface Address {
  readonly exchange: string
  readonly key: string
  /** True: it is refused when no queue is bound for it. */
  readonly mandatory: boolean
}

/** What a publisher needs of the transport around it. */
export interface PublisherOptions {
  /** Declares or checks the exchanges that are published to. */
  prepare(channel: AmqpConfirmChannel): Promise<void>
  /** Its channel has failed. */
  onLost(error: unknown): void
  /** Given where replies come through RabbitMQ's direct reply-to, which needs the channel that the requests go through. */
  readonly onReply?: ((message: AmqpMessage) => void) | undefined
  /** What was asked through the channel, and not answered yet, will not be. */
  onRepliesLost(): void
}

/** The pseudo queue of direct reply-to. */
export const DIRECT = 'amq.rabbitmq.reply-to'

/** A message that the broker has not answered for yet. */
interface Pending {
  readonly content: AmqpContent
  readonly address: Address
  isReturned: boolean
  readonly resolve: () => void
  readonly reject: (error: GatewayError) => void
}

/** Publishes on one channel, and knows of each message what became of it. */
export class Publisher implements Part {
  readonly #options: PublisherOptions
  readonly #pending = new Unconfirmed<Pending>()
  #channel: AmqpConfirmChannel | undefined
  #why: unknown
  #connection: AmqpConnection | undefined
  #limit: number | undefined
  /** True while the broker is sound, and only the channel is to be opened anew: what is published waits for it. */
  #isMending = false

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** The largest body that this broker takes, once it has refused a larger one. */
  get limit(): number | undefined {
    return this.#limit
  }

  async attach(connection: AmqpConnection): Promise<void> {
    // Another broker, or the same one after a restart, may take more.
    if (connection !== this.#connection) this.#limit = undefined
    this.#connection = connection
    const channel = await connection.createConfirmChannel()
    const lost = (error: unknown): void => {
      if (this.#channel !== channel) return
      this.#lost(error)
      this.#options.onLost(error)
    }
    // The reason comes first; at the close amqplib would have answered for each message by itself.
    channel.on('error', lost)
    channel.on('close', () => lost(new Error('The channel was closed.')))
    channel.on('return', (message: ReturnedMessage) => this.#returned(message))
    await this.#options.prepare(channel)
    await this.#consumeReplies(channel)
    this.#channel = channel
    this.#isMending = false
    for (const one of this.#pending) this.#write(channel, one)
  }

  detach(error: unknown): void {
    const channel = this.#channel
    this.#lost(error)
    // On a connection of somebody else it would stay open.
    void channel?.close().catch(() => {})
  }

  /** What was not confirmed may have been taken: amqplib below 1.0.5 would never say so. */
  #lost(error: unknown): void {
    // The link says again what has brought it here.
    if (this.#channel === undefined && error === this.#why) return
    if (this.#channel !== undefined && this.#options.onReply !== undefined) this.#options.onRepliesLost()
    this.#channel = undefined
    this.#why = error
    this.#isMending = this.#refuseTooLarge(error)
    if (this.#isMending) return
    const pending = [...this.#pending]
    this.#pending.clear()
    const reason = pending.length === 1 ? refusal(pending[0]?.address, error) : undefined
    for (const one of pending)
      one.reject(reason ?? unconfirmed('The channel was lost before the broker confirmed.', error))
  }

  /** Resolves with the confirmation; the codes of its rejections say what is certain. */
  publish(content: AmqpContent, address: Address): Promise<void> {
    const channel = this.#channel
    if (channel === undefined && !this.#isMending)
      return Promise.reject(unavailable('There is no connection to RabbitMQ at the moment.', this.#why))
    if (!this.#pending.hasRoomFor(content))
      return Promise.reject(unavailable('RabbitMQ has yet to confirm as much as may be under way to it.'))
    return new Promise((resolve, reject) => {
      const pending: Pending = { content, address, isReturned: false, resolve, reject }
      if (channel === undefined) this.#pending.add(pending)
      else this.#write(channel, pending)
    })
  }

  #write(channel: AmqpConfirmChannel, pending: Pending): void {
    const { content, address } = pending
    const { properties, body } = content
    const { exchange, key, mandatory } = address
    const options = mandatory ? { ...properties, mandatory } : properties
    pending.isReturned = false
    try {
      channel.publish(exchange, key, toBuffer(body), options, (error) => {
        // What a channel that is gone says of a message was settled with it, or the message goes through another one.
        if (this.#channel === channel) this.#answered(pending, error)
      })
      this.#pending.add(pending)
    } catch (error) {
      this.#pending.delete(pending)
      // Nothing was written: amqplib checks what it is given, and its own state, before it writes.
      pending.reject(isChannelGone(error) ? unavailable('The channel to RabbitMQ is gone.', error) : invalid(error))
    }
  }

  /**
   * Where the broker has closed the channel because of a body, refuses those that it will never take; the others wait
   * for the next channel. False when that was not the cause.
   */
  #refuseTooLarge(error: unknown): boolean {
    const limit = limitIn(error)
    const refused = [...this.#pending].filter(
      ({ content }) => content.body.length > (limit ?? Number.POSITIVE_INFINITY),
    )
    if (limit === undefined || refused.length === 0) return false
    this.#limit = limit
    for (const one of refused) {
      this.#pending.delete(one)
      const text = `A body of ${one.content.body.length} bytes is too large: RabbitMQ takes ${limit}.`
      one.reject(rejected(text, { cause: error, isPermanent: true }))
    }
    return true
  }

  async #consumeReplies(channel: AmqpConfirmChannel): Promise<void> {
    const { onReply } = this.#options
    if (onReply === undefined) return
    const take = (message: AmqpMessage | null): void => {
      if (message !== null) onReply(message)
    }
    await channel.consume(DIRECT, take, { noAck: true }).catch((error: unknown) => {
      throw explainStep(error, `The consumer of ${DIRECT}`)
    })
  }

  #answered(pending: Pending, error: unknown): void {
    // False when the loss of the channel has settled it.
    if (!this.#pending.delete(pending)) return
    const { exchange, key } = pending.address
    if (pending.isReturned) pending.reject(rejected(unbound(exchange, key)))
    else if (error === null || error === undefined) pending.resolve()
    else pending.reject(unconfirmed('The broker did not confirm the message.', error))
  }

  // A return comes before its confirmation, and names the message; the broker answers about in order, so the search ends
  // soon.
  #returned({ properties }: ReturnedMessage): void {
    for (const one of this.#pending) {
      if (one.content.properties.messageId !== properties.messageId || one.isReturned || !one.address.mandatory)
        continue
      one.isReturned = true
      return
    }
  }
}

/** One message alone on a channel that the broker closes because of an exchange is the one that it refuses. */
function refusal(address: Address | undefined, error: unknown): GatewayError | undefined {
  const code = codeOf(error)
  if (address === undefined || (code !== 403 && code !== 404)) return undefined
  return rejected(explainStep(error, `The exchange "${address.exchange}"`).message, { cause: error })
}

function rejected(message: string, details: ErrorDetails = {}): GatewayError {
  return new GatewayError('ERR_PUBLISH_REJECTED', message, { ...details, outcome: 'not-accepted' })
}

function unconfirmed(message: string, cause: unknown): GatewayError {
  return new GatewayError('ERR_PUBLISH_UNCONFIRMED', message, { cause, outcome: 'unknown' })
}

function invalid(cause: unknown): GatewayError {
  return new GatewayError('ERR_INVALID_INPUT', 'The message cannot be written as an AMQP message.', { cause })
}

function isChannelGone(error: unknown): boolean {
  return error instanceof Error && error.constructor.name === 'IllegalOperationError'
}

function toBuffer(body: Uint8Array): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

function unbound(exchange: string, key: string): string {
  return `No queue is bound to "${exchange}" for "${key}": a worker that handles it must have been started once.`
}
