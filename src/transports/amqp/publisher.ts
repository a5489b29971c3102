import { GatewayError } from '../../core/errors.js'
import type { AmqpContent } from '../profiles/amqp-wire.js'
import type { AmqpConfirmChannel, AmqpConnection, AmqpMessage, ReturnedMessage } from './client.js'
import { codeOf, explainStep, unavailable } from './failures.js'
import type { Part } from './link.js'

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
  readonly id: string | undefined
  readonly address: Address
  isReturned: boolean
  readonly resolve: () => void
  readonly reject: (error: GatewayError) => void
}

/** Publishes on one channel, and knows of each message what became of it. */
export class Publisher implements Part {
  readonly #options: PublisherOptions
  /** In the order in which they were published. */
  readonly #pending = new Set<Pending>()
  #channel: AmqpConfirmChannel | undefined
  #why: unknown

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  async attach(connection: AmqpConnection): Promise<void> {
    const channel = await connection.createConfirmChannel()
    const lost = (error: unknown): void => {
      if (this.#channel !== channel) return
      this.detach(error)
      this.#options.onLost(error)
    }
    // The reason comes first; at the close amqplib would have answered for each message by itself.
    channel.on('error', lost)
    channel.on('close', () => lost(new Error('The channel was closed.')))
    channel.on('return', (message: ReturnedMessage) => this.#returned(message))
    await this.#options.prepare(channel)
    await this.#consumeReplies(channel)
    this.#channel = channel
  }

  /** What was not confirmed may have been taken: amqplib below 1.0.5 would never say so. */
  detach(error: unknown): void {
    if (this.#channel !== undefined && this.#options.onReply !== undefined) this.#options.onRepliesLost()
    this.#channel = undefined
    this.#why = error
    const pending = [...this.#pending]
    this.#pending.clear()
    const reason = pending.length === 1 ? refusal(pending[0]?.address, error) : undefined
    for (const one of pending)
      one.reject(reason ?? unconfirmed('The channel was lost before the broker confirmed.', error))
  }

  /** Resolves with the confirmation; the codes of its rejections say what is certain. */
  publish(content: AmqpContent, address: Address): Promise<void> {
    const channel = this.#channel
    if (channel === undefined)
      return Promise.reject(unavailable('There is no connection to RabbitMQ at the moment.', this.#why))
    return new Promise((resolve, reject) => {
      const { properties, body } = content
      const pending: Pending = { id: properties.messageId, address, isReturned: false, resolve, reject }
      const { mandatory } = address
      const options = mandatory ? { ...properties, mandatory } : properties
      try {
        channel.publish(address.exchange, address.key, toBuffer(body), options, (error) =>
          this.#answered(pending, error),
        )
        this.#pending.add(pending)
      } catch (error) {
        // Nothing was written: amqplib checks what it is given, and its own state, before it writes.
        reject(isChannelGone(error) ? unavailable('The channel to RabbitMQ is gone.', error) : invalid(error))
      }
    })
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
    if (pending.isReturned) pending.reject(rejected(`No queue is bound to "${exchange}" for "${key}".`))
    else if (error === null || error === undefined) pending.resolve()
    else pending.reject(unconfirmed('The broker did not confirm the message.', error))
  }

  // A return comes before its confirmation, and names the message; the broker answers about in order, so the search ends
  // soon.
  #returned({ properties }: ReturnedMessage): void {
    for (const one of this.#pending) {
      if (one.id !== properties.messageId || one.isReturned || !one.address.mandatory) continue
      one.isReturned = true
      return
    }
  }
}

/** One message alone on a channel that the broker closes because of an exchange is the one that it refuses. */
function refusal(address: Address | undefined, error: unknown): GatewayError | undefined {
  const code = codeOf(error)
  if (address === undefined || (code !== 403 && code !== 404)) return undefined
  return rejected(explainStep(error, `The exchange "${address.exchange}"`).message, error)
}

function rejected(message: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_PUBLISH_REJECTED', message, { cause, outcome: 'not-accepted' })
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
