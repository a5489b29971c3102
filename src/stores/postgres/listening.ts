import { GatewayError } from '../../core/errors.js'
import { within } from '../../core/in-time.js'
import { Warnings } from '../warnings.js'
import type { PostgresClient } from './client.js'

/** A connection of its own for LISTEN, not yet connected: `pg.Client` is one. */
export interface ListenConnection {
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  on(event: string, listener: (value?: unknown) => void): unknown
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
  /** How long one attempt to connect may take. */
  readonly connectTimeoutMs: number
}

const MAX_DELAY_MS = 5_000
/** A connection that a firewall has forgotten says nothing for ever: it is asked so often whether it lives. */
const HEARTBEAT_MS = 5_000

/** PGlite listens on the one connection that it has. */
interface SelfListening {
  listen(channel: string, onPayload: (payload: string) => void): Promise<() => Promise<unknown>>
}

interface Loss {
  /** Makes the next one. */
  readonly connect: () => ListenConnection
  readonly cause: unknown
}

/** Keeps a LISTEN alive; while it is not, changes are asked for. */
export class Listening {
  readonly #options: ListeningOptions
  readonly #warnings = new Warnings()
  #connection: ListenConnection | undefined
  #unlisten: (() => Promise<unknown>) | undefined
  #reconnect: NodeJS.Timeout | undefined
  #asking: NodeJS.Timeout | undefined
  #isListening = false
  #heartbeat: NodeJS.Timeout | undefined
  #delayMs: number
  #isClosed = false

  constructor(options: ListeningOptions) {
    this.#options = options
    this.#delayMs = options.pollMs
  }

  /**
   * Resolves when it listens, or has begun to ask. A connection that cannot be made is tried again later.
   * @throws GatewayError ERR_CONFIG when `connect` gives none to try.
   */
  async start(): Promise<void> {
    const { client, channel, onPayload, connect } = this.#options
    if (connect !== undefined) await this.#connect(connect)
    else if (listensItself(client)) this.#unlisten = await client.listen(`"${channel}"`, onPayload).catch(refuse)
    else this.#ask()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#reconnect)
    clearTimeout(this.#asking)
    clearInterval(this.#heartbeat)
    const connection = this.#connection
    this.#connection = undefined
    await this.#unlisten?.()
    // A connection that is broken already cannot be ended in order.
    await connection?.end().catch(() => {})
  }

  async #connect(connect: () => ListenConnection): Promise<void> {
    const connection = make(connect)
    this.#connection = connection
    const lost = (cause?: unknown) => this.#lost(connection, { connect, cause })
    connection.on('error', lost)
    connection.on('end', () => lost())
    connection.on('notification', (message) => {
      const { payload = '' } = message as { readonly payload?: string }
      this.#options.onPayload(payload)
    })
    try {
      await within(this.#listen(connection), { ms: this.#options.connectTimeoutMs, late: () => this.#tooLate() })
    } catch (error) {
      lost(error)
      return
    }
    if (this.#connection !== connection) return
    this.#isListening = true
    clearTimeout(this.#asking)
    this.#delayMs = this.#options.pollMs
    this.#heartbeat = setInterval(() => this.#beat(connection, lost), HEARTBEAT_MS).unref()
    // What was announced before somebody listened is asked for once.
    await this.#options.onGap().catch(() => {})
  }

  async #listen(connection: ListenConnection): Promise<void> {
    await connection.connect()
    await connection.query(`LISTEN "${this.#options.channel}"`)
  }

  #tooLate(): GatewayError {
    const text = `listen: the connection does not listen within ${this.#options.connectTimeoutMs} ms.`
    return new GatewayError('ERR_STORE_UNAVAILABLE', text, { outcome: 'not-accepted' })
  }

  #beat(connection: ListenConnection, lost: (cause?: unknown) => void): void {
    const late = setTimeout(() => lost(), HEARTBEAT_MS).unref()
    connection.query('select 1').then(
      () => clearTimeout(late),
      (error: unknown) => {
        clearTimeout(late)
        lost(error)
      },
    )
  }

  #lost(connection: ListenConnection, { connect, cause }: Loss): void {
    if (this.#isClosed || this.#connection !== connection) return
    this.#connection = undefined
    this.#isListening = false
    clearInterval(this.#heartbeat)
    drop(connection)
    const { pollMs } = this.#options
    this.#warnings.tell(
      `There is no connection of \`listen\`: until there is, changes are asked for every ${pollMs} ms.`,
      cause,
    )
    this.#ask()
    this.#connectLater(connect)
  }

  #connectLater(connect: () => ListenConnection): void {
    if (this.#isClosed) return
    this.#delayMs = Math.min(this.#delayMs * 2, MAX_DELAY_MS)
    this.#reconnect = later(this.#delayMs, () =>
      this.#connect(connect).catch((error: unknown) => {
        this.#warnings.tell(textOf(error))
        this.#connectLater(connect)
      }),
    )
  }

  /** Asks again and again until somebody listens; called once more, it goes on as one. */
  #ask(): void {
    clearTimeout(this.#asking)
    if (this.#isListening || this.#isClosed) return
    this.#asking = later(this.#options.pollMs, async () => {
      await this.#options.onGap().catch(() => {})
      this.#ask()
    })
  }
}

/** @throws GatewayError ERR_CONFIG where this makes no connection. */
function make(connect: () => ListenConnection): ListenConnection {
  let made: unknown
  try {
    made = connect()
  } catch (error) {
    throw new GatewayError('ERR_CONFIG', `postgres: listen throws: ${textOf(error)}`, { cause: error })
  }
  const methods = typeof made === 'object' && made !== null ? (made as Record<string, unknown>) : {}
  if (['connect', 'query', 'on', 'end'].every((name) => typeof methods[name] === 'function'))
    return made as ListenConnection
  throw new GatewayError('ERR_CONFIG', 'postgres: listen must return a connection, such as a new pg.Client(…).')
}

function refuse(cause: unknown): never {
  const details = { cause, outcome: 'not-accepted' } as const
  throw new GatewayError('ERR_STORE_UNAVAILABLE', `postgres: the client does not listen: ${textOf(cause)}`, details)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Ends a connection without a word, where `pg` would wait for a server that does not answer. */
function drop(connection: ListenConnection): void {
  connection.end().catch(() => {})
  const { connection: line } = connection as { connection?: { stream?: { destroy?(): void } } }
  line?.stream?.destroy?.()
}

/** With a share of chance, so that many instances do not come back in one moment. */
function later(ms: number, step: () => Promise<void>): NodeJS.Timeout {
  return setTimeout(() => void step(), ms * (0.75 + Math.random() / 2)).unref()
}

function listensItself(client: PostgresClient): client is PostgresClient & SelfListening {
  return 'listen' in client && typeof client.listen === 'function'
}
