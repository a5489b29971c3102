import type { Argument, RedisConnection, SendOptions, SubscribeOptions } from './connection.js'
import { type Second, SecondConnection } from './second.js'

/** What the store uses of a client of ioredis. */
export interface IoredisClient {
  readonly status: string
  call(command: string, args: Argument[]): Promise<unknown>
  callBuffer(command: string, args: Argument[]): Promise<unknown>
  connect(): Promise<void>
  disconnect(): void
  /** Without it changes are polled for. */
  duplicate?(override: { lazyConnect: boolean; autoResubscribe: boolean }): IoredisSubscriber
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** What the store uses of its own second client of ioredis. */
export interface IoredisSubscriber {
  connect(): Promise<void>
  disconnect(): void
  ping(): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'message', listener: (channel: string, text: string) => void): unknown
  on(event: 'ready', listener: () => void): unknown
}

/** A connection through ioredis, which by itself sends again what was under way when a connection broke. */
export class IoredisConnection implements RedisConnection {
  lastError: unknown
  readonly #client: IoredisClient

  constructor(client: IoredisClient) {
    this.#client = client
    client.on('error', (error) => {
      this.lastError = error
    })
  }

  get isReady(): boolean {
    return this.#client.status === 'ready'
  }

  sendCommand([command = '', ...args]: readonly Argument[], { asBytes = false }: SendOptions = {}): Promise<unknown> {
    return asBytes ? this.#client.callBuffer(String(command), args) : this.#client.call(String(command), args)
  }

  open(): ReturnType<RedisConnection['open']> {
    const isOurs = this.#client.status === 'wait' || this.#client.status === 'end'
    return { isOurs, connected: isOurs ? this.#client.connect() : Promise.resolve() }
  }

  close(): void {
    this.#client.disconnect()
  }

  async subscribe(channel: string, options: SubscribeOptions) {
    if (this.#client.duplicate === undefined) return undefined
    return new SecondConnection(() => this.#second(channel, options), options).open()
  }

  #second(channel: string, { onMessage }: SubscribeOptions): Second {
    const subscriber = this.#client.duplicate?.({ lazyConnect: true, autoResubscribe: true }) as IoredisSubscriber
    subscriber.on('message', (_channel, text) => onMessage(text))
    return {
      subscribe: () => subscriber.connect().then(() => subscriber.subscribe(channel)),
      close: () => subscriber.disconnect(),
      ping: () => subscriber.ping(),
      onError: (listener) => void subscriber.on('error', listener),
      // It is ready before it has subscribed again; who asks for the same once more hears when that is done.
      onAgain: (listener) =>
        void subscriber.on('ready', () => void subscriber.subscribe(channel).then(listener, () => {})),
    }
  }
}
