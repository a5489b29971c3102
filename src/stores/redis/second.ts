import { within } from '../../core/in-time.js'
import { explain, type SubscribeOptions } from './connection.js'
import { isDenied } from './errors.js'

/** A second connection of a client, of which one is made. */
export interface Second {
  /** Connects, and resolves when it listens. */
  subscribe(): Promise<unknown>
  close(): void
  ping(): Promise<unknown>
  /** Calls back with what the client reports. */
  onError(listener: (error: Error) => void): void
  /** Calls back each time the client has a connection that listens again. */
  onAgain(listener: () => void): void
}

/** A connection that a firewall has forgotten says nothing for ever: it is asked so often whether it lives. */
const HEARTBEAT_MS = 5000

/**
 * Listens on a second connection, and on another one when that falls silent; one that breaks its client restores.
 * @throws GatewayError as `connect` does, where the first one cannot be made.
 */
export class SecondConnection {
  readonly #make: () => Second
  readonly #options: SubscribeOptions
  #current: Second | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(make: () => Second, options: SubscribeOptions) {
    this.#make = make
    this.#options = options
  }

  /** Gives what closes it. */
  async open(): Promise<() => void> {
    this.#current = await this.#connect()
    this.#beatLater()
    return () => this.#close()
  }

  #close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#current?.close()
  }

  /** Clients try for ever, or say only that it was closed. */
  async #connect(): Promise<Second> {
    const { timeoutMs, onGap } = this.#options
    const second = this.#make()
    let last: unknown
    second.onError((error) => {
      last = error
    })
    try {
      await within(second.subscribe(), { ms: timeoutMs, late: () => new Error(`not within ${timeoutMs} ms`) })
      second.onAgain(onGap)
      return second
    } catch (error) {
      second.close()
      if (isDenied(error)) throw error
      throw explain(last ?? error, timeoutMs, 'Redis takes no second connection, on which changes are heard')
    }
  }

  #beatLater(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#beat().then(() => this.#beatLater()), HEARTBEAT_MS).unref()
  }

  /** Never rejects: what cannot be mended now is tried at the next beat. */
  async #beat(): Promise<void> {
    const silent = this.#current
    if (silent !== undefined && (await answers(silent))) return
    if (this.#isClosed) return
    this.#current = undefined
    silent?.close()
    const next = await this.#connect().catch(() => undefined)
    if (next === undefined) return
    if (this.#isClosed) return next.close()
    this.#current = next
    this.#options.onGap()
  }
}

/** Whether a connection says anything at all; one that is broken its client restores. */
async function answers(second: Second): Promise<boolean> {
  const late = new Error('silent')
  try {
    await within(second.ping(), { ms: HEARTBEAT_MS, late: () => late })
    return true
  } catch (error) {
    return error !== late
  }
}
