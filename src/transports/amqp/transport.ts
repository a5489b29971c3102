import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import type {
  MessageHandler,
  PublishOptions,
  Reader,
  ReplyAddress,
  ResultReadings,
  Subscription,
  Transport,
  TransportListener,
} from '../../core/transport.js'
import { writtenBytes } from '../profiles/amqp.js'
import type { AmqpContent } from '../profiles/amqp-wire.js'
import { unavailable } from './failures.js'
import { excessIn, headLimit } from './head.js'
import type { AmqpSettings } from './options.js'
import { type Address, DIRECT } from './publisher.js'
import { Running, type Shared } from './running.js'
import { parse, subscribe } from './subscribe.js'
import { Topology } from './topology.js'

/** How often what needs attention has happened. */
export interface AmqpCounters {
  /** Messages that could not be understood; those of shared queues are parked. */
  readonly poison: number
  /** Messages that went to the queue of dead letters. */
  readonly parked: number
  /** Messages that were given back to their queue. */
  readonly requeued: number
}

/** A transport over RabbitMQ. */
export interface AmqpTransport extends Transport {
  readonly maxBodyBytes: number
  readonly counters: AmqpCounters
}

/** What to do about requests without an address for the answer. */
const MISSING = {
  own: "with wake: 'store' a gateway has no queue of its own; set replyTo: 'recorder' of amqp().",
  recorder: "replyTo: 'recorder' of amqp() needs a store, given to the gateway by its option store.",
} as const

const NOTHING = new Uint8Array(0)

/** The transport behind `amqp()`. */
export class RabbitTransport implements AmqpTransport {
  readonly name = 'amqp'
  readonly durability: Transport['durability']
  readonly #shared: Shared
  readonly #counters = { poison: 0, parked: 0, requeued: 0 }
  #users = 0
  #running: Running | undefined
  #opening: Promise<void> | undefined
  #isOpen = false

  constructor(settings: AmqpSettings) {
    const count = (what: keyof AmqpCounters): void => {
      this.#counters[what] += 1
    }
    this.#shared = { settings, topology: new Topology(settings), count }
    this.durability = { class: settings.replies === 'direct' ? 'process' : 'durable' }
  }

  /** What the option says, or less once the broker has refused less. */
  get maxBodyBytes(): number {
    return Math.min(this.#shared.settings.maxBodyBytes, this.#running?.publisher.limit ?? Number.POSITIVE_INFINITY)
  }

  /** By the bindings of their queue; those of the option are patterns. */
  get isSelective(): boolean {
    const { results, replies } = this.#shared.settings
    return results.keys === undefined && replies !== 'direct'
  }

  writtenBytesOf(request: EventMessage): number {
    return writtenBytes(request)
  }

  excessOf(request: EventMessage): string | undefined {
    const { settings, topology } = this.#shared
    // The envelope of nest() would copy the body.
    const isNest = request.profile?.name === 'nest'
    const content = settings.binding.write(isNest ? { ...request, body: NOTHING } : request)
    return this.#excessIn(content, topology.requestAddress(request.type))
  }

  get counters(): AmqpCounters {
    return { ...this.#counters }
  }

  replyAddress({ own, shared }: ResultReadings): ReplyAddress {
    const { replies, replyTo } = this.#shared.settings
    if (replies === 'direct') return { durability: this.durability }
    // The own queue goes with its gateway.
    if (replyTo === 'own' && own) return { durability: { class: 'process' } }
    if (replyTo === 'recorder' && shared) return { durability: this.durability }
    return { missing: MISSING[replyTo] }
  }

  async start(listener?: TransportListener): Promise<void> {
    this.#users += 1
    const running = this.#running ?? this.#create()
    try {
      this.#opening ??= running.open()
      await this.#opening
    } catch (error) {
      // A close in the meantime has counted this user already.
      if (this.#running === running) this.#users -= 1
      if (this.#running === running && this.#users === 0) this.#forget()
      throw error
    }
    if (this.#running !== running) throw new GatewayError('ERR_CLOSED', 'The transport was closed while it started.')
    this.#isOpen = true
    if (listener !== undefined) running.listen(listener)
  }

  async close(): Promise<void> {
    if (this.#users === 0) return
    this.#users -= 1
    if (this.#users > 0) return
    const running = this.#running
    this.#forget()
    await running?.close()
  }

  async check(): Promise<void> {
    await this.#opened().check()
  }

  publish(message: EventMessage, { channel, replyTo }: PublishOptions): Promise<void> {
    try {
      const { publishing, publisher } = this.#opened()
      if (publishing.blocked !== undefined) throw publishing.blocked
      const { topology, settings } = this.#shared
      const isRequest = channel === 'requests'
      const content = settings.binding.write(isRequest ? this.#addressed(message) : message)
      if (content.body.length > this.maxBodyBytes) throw tooLarge(message.type, content.body.length, this.maxBodyBytes)
      const { type } = message
      const address = isRequest ? topology.requestAddress(type) : topology.resultAddress(type, replyTo)
      const excess = this.#excessIn(content, address)
      if (excess !== undefined) throw refused(`${type}: ${excess}`)
      return publisher.publish(content, address)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async subscribe(subscription: Subscription, onMessage: MessageHandler): Promise<Reader> {
    return subscribe({ subscription, onMessage }, this.#opened(), this.#shared)
  }

  #excessIn(content: AmqpContent, { key }: Address): string | undefined {
    return excessIn(content, key, headLimit(this.#running?.publishing.connection))
  }

  /** A request that does not say where its results are to go gets the address of this instance. */
  #addressed(message: EventMessage): EventMessage {
    if (message.replyTo !== undefined) return message
    const { direct, replyTo: queues } = this.#opened()
    const [replyTo] = direct === undefined ? queues : [DIRECT]
    return replyTo === undefined ? message : { ...message, replyTo }
  }

  #create(): Running {
    const shared = this.#shared
    const running = new Running(shared, (message, direct) => {
      try {
        const event = parse(message, { takesUnreadable: true }, shared)
        if (event.isUnreadable) shared.count('poison')
        direct.deliver(event)
      } catch {
        shared.count('poison')
      }
    })
    this.#running = running
    return running
  }

  #forget(): void {
    this.#running = undefined
    this.#opening = undefined
    this.#isOpen = false
  }

  #opened(): Running {
    if (this.#running === undefined || !this.#isOpen) throw unavailable('The transport to RabbitMQ is not started.')
    return this.#running
  }
}

function tooLarge(type: string, size: number, limit: number): GatewayError {
  return refused(`${type} has a body of ${size} bytes; RabbitMQ takes ${limit} (option maxBodyBytes).`)
}

function refused(text: string): GatewayError {
  return new GatewayError('ERR_PUBLISH_REJECTED', text, { outcome: 'not-accepted', isPermanent: true })
}
