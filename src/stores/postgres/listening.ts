import type { PostgresClient } from './client.js'

/** A connection of its own for LISTEN, not yet connected: `pg.Client` is one. */
export interface ListenConnection {
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: one signature for the listeners of all events
  on(event: any, listener: (...values: any[]) => void): unknown
  end(): Promise<unknown>
}

/** How announcements get here. */
export interface ListeningOptions {
  /** As an identifier, quoted where it must be. */
  readonly channel: string
  readonly client: PostgresClient
  /** Makes a connection, and another one when that is lost. */
  readonly connect?: (() => ListenConnection) | undefined
  onPayload(payload: string): void
  /** Asked for again and again while nobody listens, and once when that begins. */
  onGap(): Promise<void>
  /** How often it asks, and how long it waits at first before it connects again. */
  readonly pollMs: number
}

const MAX_DELAY_MS = 5_000
/** A connection that a firewall has forgotten says nothing for ever: it is asked so often whether it lives. */
const HEARTBEAT_MS = 5_000

/** PGlite listens on the one connection that it has. */
interface SelfListening {
  listen(channel: string, onPayload: (payload: string) => void): Promise<() => Promise<unknown>>
}

/** Keeps a LISTEN alive; while it is not, changes are asked for. */
export class Listening {
  readonly #options: ListeningOptions
  #connection: ListenConnection | undefined
  #unlisten: (() => Promise<unknown>) | undefined
  #timer: NodeJS.Timeout | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #delayMs: number
  #isClosed = false

  constructor(options: ListeningOptions) {
    this.#options = options
    this.#delayMs = options.pollMs
  }

  /** Resolves when it listens, or has begun to ask. A connection that cannot be made is tried again later. */
  async start(): Promise<void> {
    const { client, channel, onPayload, connect } = this.#options
    if (connect !== undefined) await this.#connect(connect)
    else if (listensItself(client)) this.#unlisten = await client.listen(`"${channel}"`, onPayload)
    else this.#ask()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    clearInterval(this.#heartbeat)
    const connection = this.#connection
    this.#connection = undefined
    await this.#unlisten?.()
    // A connection that is broken already cannot be ended in order.
    await connection?.end().catch(() => {})
  }

  async #connect(connect: () => ListenConnection): Promise<void> {
    const connection = connect()
    this.#connection = connection
    const lost = () => this.#lost(connection, connect)
    connection.on('error', lost)
    connection.on('end', lost)
    connection.on('notification', ({ payload }: { payload?: string }) => this.#options.onPayload(payload ?? ''))
    try {
      await connection.connect()
      await connection.query(`LISTEN "${this.#options.channel}"`)
    } catch {
      lost()
      return
    }
    if (this.#connection !== connection) return
    this.#delayMs = this.#options.pollMs
    this.#heartbeat = setInterval(() => this.#beat(connection, lost), HEARTBEAT_MS).unref()
    // What was announced before somebody listened is asked for once.
    await this.#options.onGap().catch(() => {})
  }

  #beat(connection: ListenConnection, lost: () => void): void {
    const late = setTimeout(lost, HEARTBEAT_MS).unref()
    connection.query('select 1').then(
      () => clearTimeout(late),
      () => {
        clearTimeout(late)
        lost()
      },
    )
  }

  #lost(connection: ListenConnection, connect: () => ListenConnection): void {
    if (this.#isClosed || this.#connection !== connection) return
    this.#connection = undefined
    clearInterval(this.#heartbeat)
    connection.end().catch(() => {})
    this.#delayMs = Math.min(this.#delayMs * 2, MAX_DELAY_MS)
    this.#later(this.#delayMs, () => this.#connect(connect))
  }

  #ask(): void {
    this.#later(this.#options.pollMs, async () => {
      await this.#options.onGap().catch(() => {})
      this.#ask()
    })
  }

  /** With a share of chance, so that many instances do not come back in one moment. */
  #later(ms: number, step: () => Promise<void>): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void step(), ms * (0.75 + Math.random() / 2)).unref()
  }
}

function listensItself(client: PostgresClient): client is PostgresClient & SelfListening {
  return 'listen' in client && typeof client.listen === 'function'
}
