import {
  type Argument,
  becomesReady,
  type RedisConnection,
  type SendOptions,
  type SubscribeOptions,
} from './connection.js'
import { isReply } from './errors.js'
import { type Second, SecondConnection } from './second.js'

/** What the store uses of a client of node-redis, the package `redis`. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  readonly isReady: boolean
  sendCommand(args: readonly Argument[], options?: { typeMapping?: Record<number, unknown> }): Promise<unknown>
  connect(): Promise<unknown>
  destroy(): void
  /** Without it changes are polled for. */
  duplicate?(): NodeRedisSubscriber
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** What the store uses of its own second client of node-redis. */
export interface NodeRedisSubscriber {
  connect(): Promise<unknown>
  destroy(): void
  ping(): Promise<unknown>
  subscribe(channel: string, listener: (text: string) => void): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'ready', listener: () => void): unknown
}

/** The type byte of bulk strings in the protocol, by which node-redis maps replies. */
const BULK_STRING = 36
const AS_BYTES = { typeMapping: { [BULK_STRING]: Buffer } }

/** How long to wait for a new connection to send again what was under way on the old one. */
const RESEND_WITHIN_MS = 2000

/** A connection through node-redis, which rejects what was under way when a connection broke. */
export class NodeRedisConnection implements RedisConnection {
  lastError: unknown
  readonly #client: NodeRedisClient

  constructor(client: NodeRedisClient) {
    this.#client = client
    client.on('error', (error) => {
      this.lastError = error
    })
  }

  get isReady(): boolean {
    return this.#client.isReady
  }

  sendCommand(args: readonly Argument[], { asBytes, isRepeatable }: SendOptions = {}): Promise<unknown> {
    const send = () => (asBytes ? this.#client.sendCommand(args, AS_BYTES) : this.#client.sendCommand(args))
    return isRepeatable ? send().catch((error: unknown) => this.#sendAgain(error, send)) : send()
  }

  async #sendAgain(error: unknown, send: () => Promise<unknown>): Promise<unknown> {
    if (isReply(error) || !this.#client.isOpen || !(await becomesReady(this.#client, RESEND_WITHIN_MS))) throw error
    return send()
  }

  open(): ReturnType<RedisConnection['open']> {
    const isOurs = !this.#client.isOpen
    return { isOurs, connected: isOurs ? this.#client.connect() : Promise.resolve() }
  }

  close(): void {
    this.#client.destroy()
  }

  async subscribe(channel: string, options: SubscribeOptions) {
    if (this.#client.duplicate === undefined) return undefined
    return new SecondConnection(() => this.#second(channel, options), options).open()
  }

  #second(channel: string, { onMessage }: SubscribeOptions): Second {
    const subscriber = this.#client.duplicate?.() as NodeRedisSubscriber
    return {
      subscribe: () => subscriber.connect().then(() => subscriber.subscribe(channel, (text) => onMessage(text))),
      close: () => subscriber.destroy(),
      ping: () => subscriber.ping(),
      onError: (listener) => void subscriber.on('error', listener),
      // It has subscribed again before it is ready.
      onAgain: (listener) => void subscriber.on('ready', listener),
    }
  }
}
