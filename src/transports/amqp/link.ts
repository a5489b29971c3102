import type { EventEmitter } from 'node:events'
import type { Clock } from '../../core/clock.js'
import { type GatewayError, isGatewayError } from '../../core/errors.js'
import { inTime, within } from '../../core/in-time.js'
import type { AmqpChannel, AmqpConnection } from './client.js'
import { unavailable } from './failures.js'
import type { Health } from './health.js'

/** Something that lives on channels of the connection, and is set up anew on each new one. */
export interface Part {
  /** Opens its channels; a rejection says why it cannot work. */
  attach(connection: AmqpConnection): Promise<void>
  /** The connection, or its own channel, is gone. */
  detach(error: unknown): void
}

/** How a link connects. */
export interface LinkOptions {
  readonly clock: Clock
  readonly health: Health
  readonly waitForBroker: boolean
  /** False when the connection was handed in, so that its loss is final. */
  readonly canReconnect: boolean
  /** False when the connection was handed in, so that it is left open. */
  readonly isOurs: boolean
  /** Rejects with an error that explains itself. */
  connect(): Promise<AmqpConnection>
}

const FIRST_DELAY_MS = 100
// Short, as the first success is to come soon after the broker is back; with jitter, as all instances are waiting for it.
const LONGEST_DELAY_MS = 2000
const CLOSE_MS = 2000
// Calls of a channel have no end of their own, and a broker that answers none of them may go on with its heartbeats.
const ATTACH_MS = 10_000

/**
 * A connection that comes back. What is on it is set up anew each time, in the order in which it was added, and before
 * the connection counts as sound.
 */
export class Link {
  readonly #options: LinkOptions
  readonly #parts = new Set<Part>()
  #connection: AmqpConnection | undefined
  /** The connection that is open, or being set up: what others say of an alarm is passed over. */
  #latest: AmqpConnection | undefined
  #isClosed = false
  #unlisten = (): void => {}
  #attempts = 0
  #cancels = new Set<() => void>()

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /** Why the broker takes no messages from this connection at the moment. */
  blocked: GatewayError | undefined

  /** The open connection. */
  get connection(): AmqpConnection | undefined {
    return this.#connection
  }

  /** Connects. Rejects at the first failure, unless the options say to wait for the broker. */
  async start(): Promise<void> {
    for (;;) {
      try {
        await this.#open()
        return
      } catch (error) {
        if (!this.#options.waitForBroker || this.#isClosed || !isAway(error)) throw error
        this.#options.health.break(this, error)
        await this.#pause()
      }
    }
  }

  /** Sets up a part now, and on each connection to come. Rejects at the first failure, as `start` does. */
  async add(part: Part): Promise<void> {
    for (;;) {
      try {
        return await this.#add(part)
      } catch (error) {
        if (!this.#options.waitForBroker || this.#isClosed || !isAway(error)) throw error
        await this.#pause()
      }
    }
  }

  async #add(part: Part): Promise<void> {
    const connection = this.#connection
    if (connection === undefined) throw unavailable('There is no connection to RabbitMQ at the moment.')
    try {
      await this.#attach(part, connection)
    } catch (error) {
      throw isGatewayError(error) ? error : unavailable('The connection to RabbitMQ is of no use.', error)
    }
    if (this.#connection !== connection) {
      const error = unavailable('The connection to RabbitMQ was lost meanwhile.')
      part.detach(error)
      throw error
    }
    this.#parts.add(part)
  }

  remove(part: Part): void {
    this.#parts.delete(part)
    this.#options.health.mend(part)
  }

  /** A part has lost its channel while the connection stands: it is set up again, as often as it takes. */
  repair(part: Part, error: unknown): void {
    if (!this.#parts.has(part) || this.#isClosed || this.#connection === undefined) return
    const connection = this.#connection
    part.detach(error)
    this.#options.health.break(part, error)
    void this.#repair(part, connection)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const cancel of this.#cancels) cancel()
    const connection = this.#connection
    this.#connection = undefined
    for (const part of this.#parts) part.detach(new Error('The transport was closed.'))
    this.#parts.clear()
    if (connection !== undefined) await this.#end(connection)
    // It lives on, and may be handed in again and again.
    if (!this.#options.isOurs) this.#unlisten()
  }

  async #open(): Promise<void> {
    const connection = await this.#options.connect()
    this.#latest = connection
    let failure: unknown
    let isGone = false
    const lost = (error: unknown): void => {
      failure ??= error
      if (isGone) return
      isGone = true
      this.#lost(connection, failure ?? new Error('The connection was closed.'))
    }
    // amqplib reports the reason as `error` and then the end as `close`; an orderly end has no reason.
    const failed = (error: unknown): void => {
      failure ??= error
    }
    this.#unlisten = listen(connection, {
      error: failed,
      close: lost,
      blocked: (reason) => this.#block(connection, reason),
      unblocked: () => this.#unblock(connection),
    })
    try {
      for (const part of this.#parts) await this.#attach(part, connection)
      if (isGone || this.#isClosed) throw unavailable('The connection to RabbitMQ was lost again.', failure)
    } catch (error) {
      for (const part of this.#parts) part.detach(error)
      this.#giveUp(connection)
      await this.#end(connection)
      throw error
    }
    this.#connection = connection
    this.#attempts = 0
    for (const part of this.#parts) this.#options.health.mend(part)
    this.#options.health.mend(this)
  }

  /** One that is gone already is closed enough, and a broker that is short of memory does not hear of the end. */
  async #end(connection: AmqpConnection): Promise<void> {
    if (this.#options.isOurs) await inTime(connection.close(), CLOSE_MS, this.#options.clock).catch(() => {})
  }

  /**
   * Sets a part up. When that takes too long the connection counts as lost, and what the broker still says on it is
   * passed over; one that is not ours is waited for, as there is no other.
   */
  async #attach(part: Part, connection: AmqpConnection): Promise<void> {
    const { canReconnect, clock } = this.#options
    if (!canReconnect) return part.attach(connection)
    const late = (): Error => {
      const error = unavailable(`RabbitMQ has not answered for ${ATTACH_MS} ms.`)
      if (this.#connection === connection) {
        this.#lost(connection, error)
        void this.#end(connection)
      }
      return error
    }
    await within(part.attach(connection), { ms: ATTACH_MS, late, clock })
  }

  #block(connection: AmqpConnection, reason: unknown): void {
    if (this.#latest !== connection) return
    this.blocked = unavailable(`RabbitMQ takes no messages at the moment: ${String(reason)}.`)
    this.#options.health.break(connection, this.blocked)
  }

  #unblock(connection: AmqpConnection): void {
    if (this.#latest !== connection) return
    this.blocked = undefined
    this.#options.health.mend(connection)
  }

  /** It never hears that the alarm is over. */
  #giveUp(connection: AmqpConnection): void {
    this.#unblock(connection)
    if (this.#latest === connection) this.#latest = undefined
  }

  #lost(connection: AmqpConnection, cause: unknown): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    const error = unavailable('The connection to RabbitMQ is lost.', cause)
    this.#options.health.break(this, error)
    this.#giveUp(connection)
    for (const part of this.#parts) part.detach(error)
    if (!this.#isClosed && this.#options.canReconnect) void this.#reconnect()
  }

  async #reconnect(): Promise<void> {
    while (!this.#isClosed) {
      await this.#pause()
      if (this.#isClosed) return
      try {
        await this.#open()
        return
      } catch (error) {
        this.#options.health.break(this, error)
      }
    }
  }

  async #repair(part: Part, connection: AmqpConnection): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      if (failures > 0) await this.#pause(failures)
      if (this.#isClosed || this.#connection !== connection || !this.#parts.has(part)) return
      try {
        await this.#attach(part, connection)
        this.#options.health.mend(part)
        return
      } catch (error) {
        // Another connection has the part by now, or will have it.
        if (this.#connection !== connection) return
        part.detach(error)
        this.#options.health.break(part, error)
      }
    }
  }

  #pause(failures = this.#attempts++): Promise<void> {
    const longest = Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS)
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#cancels.delete(done)
        resolve()
      }
      const cancel = this.#options.clock.setTimer(done, longest / 2 + (Math.random() * longest) / 2)
      this.#cancels.add(done)
    })
  }
}

/** Closes a channel. amqplib never says that it is closed when its connection is lost meanwhile. */
export async function closeChannel(channel: AmqpChannel | undefined, clock: Clock): Promise<void> {
  const close = async () => channel?.close()
  await inTime(close(), CLOSE_MS, clock).catch(() => {})
}

/** Whether waiting can help; a wrong password stays wrong. */
function isAway(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_TRANSPORT_UNAVAILABLE'
}

type Listeners = Readonly<Record<'error' | 'close' | 'blocked' | 'unblocked', (reason?: unknown) => void>>

/** Returns how to stop listening. */
function listen(connection: AmqpConnection, listeners: Listeners): () => void {
  for (const [event, listener] of Object.entries(listeners)) connection.on(event, listener)
  const emitter = connection as unknown as Partial<Pick<EventEmitter, 'removeListener'>>
  return () => {
    for (const [event, listener] of Object.entries(listeners)) emitter.removeListener?.(event, listener)
  }
}
