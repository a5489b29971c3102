import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../core/clock.js'
import { type EventMessage, toMessage } from '../core/event.js'
import { createId } from '../core/ids.js'
import type {
  Channel,
  Delivery,
  MessageHandler,
  Reader,
  ReplayStart,
  Subscription,
  Transport,
} from '../core/transport.js'
import { type Body, type ContractOptions, until } from './contract.js'

/** A reader, and what it has got so far. */
export interface Inbox extends Reader {
  readonly messages: readonly EventMessage[]
  readonly deliveries: readonly Delivery[]
  readonly ids: readonly string[]
}

/** What a case says of a message, where it matters. */
export type MessageInit = Partial<EventMessage> & { readonly data?: unknown }

/** Tools for the transport cases. Each case has types and groups of its own, as brokers remember those of the others. */
export class TransportKit {
  readonly transport: Transport
  readonly requestType: string
  readonly resultType: string
  readonly #options: ContractOptions
  readonly #suffix = createId(Date.now())
  readonly #readers: Reader[] = []

  /** Makes one more transport, which is not started. */
  readonly create: () => Promise<Transport> | Transport

  constructor(transport: Transport, create: () => Promise<Transport> | Transport, options: ContractOptions) {
    this.transport = transport
    this.create = create
    this.#options = options
    this.requestType = this.name('Contract::Asked')
    this.resultType = this.name('Contract::Answered')
  }

  /** A name that no other case uses. */
  name(text: string): string {
    return `${text}-${this.#suffix}`
  }

  /** Publishes request events one after the other. */
  ask(...inits: MessageInit[]): Promise<EventMessage[]> {
    return this.#publish('requests', inits)
  }

  /** Publishes result events one after the other. */
  answer(...inits: MessageInit[]): Promise<EventMessage[]> {
    return this.#publish('results', inits)
  }

  /** Joins a group that reads requests. */
  worker(
    handle?: MessageHandler,
    { group = 'workers', concurrency = 16, type = this.requestType } = {},
  ): Promise<Inbox> {
    const reading = { kind: 'shared', group: this.name(group), concurrency } as const
    return this.#open({ channel: 'requests', types: [type], reading }, handle)
  }

  /** Joins a group that reads results. */
  recorder(handle?: MessageHandler): Promise<Inbox> {
    const reading = { kind: 'shared', group: this.name('recorder') } as const
    return this.#open({ channel: 'results', types: [this.resultType], reading }, handle)
  }

  /** Opens a reader with a copy of its own. */
  own(handle?: MessageHandler): Promise<Inbox> {
    return this.#open({ channel: 'results', types: [this.resultType], reading: { kind: 'own' } }, handle)
  }

  /** Opens a replay, under a name where it is to find again what it has not released. */
  replay(from: ReplayStart, handle?: MessageHandler, name?: string): Promise<Inbox> {
    const reading = { kind: 'replay', from, ...(name !== undefined && { name: this.name(name) }) } as const
    return this.#open({ channel: 'results', types: [this.resultType], reading }, handle)
  }

  /** Waits for what must come. */
  until(condition: () => boolean | Promise<boolean>): Promise<void> {
    return until(condition, this.#options.timeoutMs)
  }

  /** Gives what must not come the time to come. */
  async quiet(): Promise<void> {
    await sleep(this.#options.quietMs ?? 50)
  }

  /** Ends what the case has opened. */
  async close(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.close()))
    await this.transport.close()
  }

  async #publish(channel: Channel, inits: readonly MessageInit[]): Promise<EventMessage[]> {
    const type = channel === 'requests' ? this.requestType : this.resultType
    const messages = inits.map((init) => toMessage({ type, source: 'contract', data: {}, ...init }, systemClock))
    for (const message of messages) await this.transport.publish(message, { channel })
    return messages
  }

  async #open(subscription: Subscription, handle: MessageHandler = async () => undefined): Promise<Inbox> {
    const messages: EventMessage[] = []
    const deliveries: Delivery[] = []
    const ids: string[] = []
    const reader = await this.transport.subscribe(subscription, async (message, delivery) => {
      // What other cases have left on a channel that all share.
      if (!subscription.types.includes(message.type)) return undefined
      messages.push(message)
      ids.push(message.id)
      deliveries.push(delivery)
      return handle(message, delivery)
    })
    this.#readers.push(reader)
    const { caughtUp, ended, keeping } = reader
    const more = { ...(ended && { ended }), ...(keeping && { keeping }) }
    return { messages, deliveries, ids, caughtUp, ...more, close: () => reader.close() }
  }
}

/** The ids of messages, in their order. */
export function idsOf(messages: readonly EventMessage[]): string[] {
  return messages.map(({ id }) => id)
}

/** A promise that is resolved from outside. */
export function createGate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}

/** Cases by their names. */
export type TransportCases = Readonly<Record<string, Body<TransportKit>>>

/** What says nothing but how many there are. */
export function many(count: number): MessageInit[] {
  return Array.from({ length: count }, (_, index) => ({ data: index }))
}
