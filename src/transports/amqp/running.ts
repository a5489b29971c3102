import type { MessageHandler, Reader, Subscription, TransportListener } from '../../core/transport.js'
import type { AmqpMessage } from './client.js'
import { connect } from './connect.js'
import { DirectReplies } from './direct.js'
import { unavailable } from './failures.js'
import { Health } from './health.js'
import { Link } from './link.js'
import type { AmqpSettings } from './options.js'
import { OwnReaders } from './own-readers.js'
import { Publisher } from './publisher.js'
import { SignOfLife } from './sign-of-life.js'
import type { Topology } from './topology.js'

/** What subscriptions and publishes have in common. */
export interface Shared {
  readonly settings: AmqpSettings
  readonly topology: Topology
  readonly count: (what: 'poison' | 'parked' | 'requeued') => void
}

/** A call of `subscribe`. */
export interface Wanted {
  readonly subscription: Subscription
  readonly onMessage: MessageHandler
}

/** What there is from the first start to the last close. */
export class Running {
  readonly #health = new Health()
  readonly #sign = new SignOfLife()
  /**
   * Two connections, as RabbitMQ stops reading from one that has published while it is short of memory. Probes too
   * go over the one that publishes, so that what the other one reads is settled meanwhile; over that one nothing is
   * published but the marker at the beginning of each channel of a kept queue.
   */
  readonly publishing: Link
  readonly reading: Link
  readonly publisher: Publisher
  readonly direct: DirectReplies | undefined
  readonly readers = new Set<Reader>()
  readonly own = new OwnReaders()
  /** Queues where results of the requests of this instance may go; the oldest is the one. */
  readonly replyTo = new Set<string>()

  constructor({ settings, topology }: Shared, onReply: (message: AmqpMessage, direct: DirectReplies) => void) {
    const { clock, waitForBroker, connection, replies } = settings
    const health = this.#health
    const isHandedIn = connection !== undefined && typeof connection !== 'function'
    const options = { clock, health, waitForBroker, canReconnect: !isHandedIn, isOurs: !isHandedIn }
    const direct = replies === 'direct' ? new DirectReplies(clock) : undefined
    this.direct = direct
    this.publishing = new Link({ ...options, connect: () => connect(settings, 'publishing') })
    this.reading = isHandedIn ? this.publishing : new Link({ ...options, connect: () => connect(settings, 'reading') })
    this.publisher = new Publisher({
      prepare: (channel) => topology.exchanges(channel),
      onLost: (error) => this.publishing.repair(this.publisher, error),
      onReply: direct && ((message) => onReply(message, direct)),
      onRepliesLost: () => health.loseReplies(),
    })
  }

  /** Rejects at the first failure with an error that names the option. */
  async open(): Promise<void> {
    try {
      await this.publishing.start()
      await this.publishing.add(this.publisher)
      if (this.reading !== this.publishing) await this.reading.start()
    } catch (error) {
      await this.#closeLinks()
      throw error
    }
  }

  /** True while the broker takes no messages. */
  get isBlocked(): boolean {
    return this.publishing.blocked !== undefined
  }

  listen(listener: TransportListener): void {
    this.#health.listen(listener)
  }

  /** Asks the broker, over the connection that publishes. */
  async check(): Promise<void> {
    if (!this.#health.isSound) throw this.#health.trouble
    const { connection } = this.publishing
    try {
      if (connection !== undefined) await this.#sign.ask(connection)
    } catch (error) {
      throw unavailable('RabbitMQ does not answer.', error)
    }
  }

  async close(): Promise<void> {
    this.#health.reset()
    this.#sign.close()
    await Promise.all([...this.readers].map((reader) => reader.close()))
    await this.#closeLinks()
  }

  async #closeLinks(): Promise<void> {
    await Promise.all([...new Set([this.publishing, this.reading])].map((link) => link.close()))
  }
}
