import { GatewayError, isGatewayError } from '../../core/errors.js'
import type { Keeping, Reader } from '../../core/transport.js'
import { notAlone } from './alone.js'
import type { AmqpChannel, AmqpConnection, AmqpMessage } from './client.js'
import { explainStep } from './failures.js'
import type { KeptOptions } from './kept-options.js'
import { closeChannel, type Part } from './link.js'
import { isMarker, markerId } from './marker.js'
import { OneByOne } from './one-by-one.js'
import { openReading, type ReadingChannel } from './reading-channel.js'
import { SelfProbe } from './self-probe.js'
import type { Settler } from './settler.js'
import { createGate, gone } from './stream.js'

/** A message that is not released. */
interface Held {
  /** Of the channel that brought it last; undefined before the first. */
  readonly settler: Settler | undefined
  readonly tag: number
}

/** How many messages the broker brings that are not acknowledged: so many may be those of a snapshot when it is used. */
const LIMIT = 2048
/** RabbitMQ closes a channel that has not acknowledged a message for 30 minutes, and one is always kept. */
const REFRESH_MS = 10 * 60_000

/**
 * Reads a queue in order, one message at a time, and acknowledges what is released. The message of the newest position
 * that was released stays in the queue: a queue without it has lost something, or is not the one that it was.
 */
export class KeptReader implements Part, Reader {
  readonly caughtUp: Promise<void>
  readonly ended: Promise<unknown>
  readonly #options: KeptOptions
  readonly #turns: OneByOne
  readonly #probe: SelfProbe
  /** By id, in the order of the queue; what comes again, on this channel or another, is not handled again. */
  readonly #held = new Map<string, Held>()
  #from = ''
  /** The newest position that was released. What comes before its message was released too, whoever has forgotten it. */
  #anchor = ''
  #isFound = false
  /** Messages of this channel that are done with as soon as the anchor has come. */
  #passed: number[] = []
  #channel: AmqpChannel | undefined
  #settler: Settler | undefined
  /** Sent at the beginning of each channel: when it comes back, all that was kept has come before it. */
  #marker = ''
  #isOpen = false
  #isClosing: Promise<void> | undefined
  #isNew: boolean
  #cancelRefresh = (): void => {}
  #cancelSilence = (): void => {}
  #tellEnded = (_reason: unknown): void => {}
  readonly #positioned = createGate()
  readonly #history = createGate()

  constructor(options: KeptOptions) {
    this.#options = options
    this.#isNew = options.isNew
    this.#turns = new OneByOne({ ...options, handle: (message, settler) => this.#handle(message, settler) })
    this.#probe = new SelfProbe({
      clock: options.clock,
      isBlocked: options.isBlocked,
      send: () => this.#sendProbe(),
      onSilence: () => options.link.repair(this, new Error('RabbitMQ brings nothing of the queue any more.')),
    })
    this.caughtUp = this.#history.passed
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
  }

  get keeping(): Keeping {
    return { from: this.#from, limit: LIMIT, release: (position) => this.#release(position) }
  }

  /**
   * Resolves when the queue has the message of its position.
   * @throws GatewayError ERR_CONFIG when it has not, as that gap would never be noticed, and
   * ERR_TRANSPORT_UNAVAILABLE when somebody else reads it.
   */
  async open(): Promise<this> {
    await this.#options.whenAlone()
    await this.#options.link.add(this)
    this.#isOpen = true
    try {
      await this.#positioned.passed
      return this
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async attach(connection: AmqpConnection): Promise<void> {
    const { clock, link } = this.#options
    const opened = await openReading(connection, clock, (lost, reason) => {
      if (this.#channel === lost) link.repair(this, reason)
    })
    try {
      await this.#attach(opened)
      if (this.#isClosing) return
      this.#cancelRefresh()
      this.#cancelRefresh = clock.setTimer(() => void this.#refresh(connection), REFRESH_MS, true)
    } catch (error) {
      this.#cancelSilence()
      void opened.channel.close().catch(() => {})
      // A queue that is gone, and cannot be had again as it was, does not come back by waiting.
      if (!this.#isOpen || !isGatewayError(error) || error.code !== 'ERR_CONFIG') throw error
      this.#endWith(error)
    }
  }

  async #attach({ channel, settler }: ReadingChannel): Promise<void> {
    const { queue, clock, prepare, check } = this.#options
    if (this.#isOpen) await check(channel)
    else this.#holdFirst(await prepare(channel))
    await channel.prefetch(LIMIT)
    this.#turns.clear()
    this.#settler = settler
    this.#isFound = false
    this.#passed = []
    this.#marker = markerId(clock)
    this.#limitSilence()
    await channel
      .consume(queue, (message) => this.#delivered(message, settler))
      .catch((error: unknown) => {
        throw explainStep(error, `Reading the queue "${queue}"`)
      })
    // A later one has taken its place meanwhile, or the reader was closed.
    if (this.#settler !== settler || this.#isClosing) {
      void channel.close().catch(() => {})
      return
    }
    this.#channel = channel
    channel.publish('', queue, Buffer.alloc(0), { messageId: this.#marker })
    this.#probe.start()
  }

  /** Another marker; none is brought where no more may come for now. */
  #sendProbe(): Promise<void> | undefined {
    const { clock, mark } = this.#options
    const isFull = (this.#settler?.size ?? LIMIT) >= LIMIT
    return this.#channel === undefined || !this.#isFound || isFull ? undefined : mark(markerId(clock))
  }

  /**
   * The queue has a message at least, the first that is held, and the broker brings it at once. When it does not,
   * somebody else reads the queue: this consumer waits for its turn, and what it has grows old.
   */
  #limitSilence(): void {
    const { clock, lingersMs, queue } = this.#options
    this.#cancelSilence()
    this.#cancelSilence = clock.setTimer(() => this.#endWith(notAlone(queue)), lingersMs, true)
  }

  #holdFirst(position: string): void {
    this.#from = position
    this.#anchor = position
    this.#held.clear()
    this.#held.set(position, { settler: undefined, tag: 0 })
  }

  detach(_error?: unknown): void {
    const channel = this.#channel
    this.#channel = undefined
    this.#settler = undefined
    this.#cancelRefresh()
    this.#cancelSilence()
    this.#probe.stop()
    this.#turns.clear()
    // When it was the broker that ended the consumer alone, the channel is still open.
    void channel?.close().catch(() => {})
  }

  close(): Promise<void> {
    this.#isClosing ??= this.#close()
    return this.#isClosing
  }

  async #close(): Promise<void> {
    const { link, clock, onClosed } = this.#options
    const channel = this.#channel
    this.#channel = undefined
    this.#cancelRefresh()
    this.#cancelSilence()
    this.#probe.stop()
    link.remove(this)
    const closed = new GatewayError('ERR_CLOSED', 'The reader was closed before it had caught up.')
    this.#positioned.fail(closed)
    this.#history.fail(closed)
    await this.#turns.close()
    this.#settler?.flush()
    // With the channel all that is not acknowledged goes back, in its order.
    await closeChannel(channel, clock)
    onClosed(this)
  }

  #endWith(reason: GatewayError): void {
    if (this.#isClosing) return
    this.#positioned.fail(reason)
    this.#history.fail(reason)
    this.#tellEnded(reason)
    void this.close()
  }

  /** A new channel, before the broker takes the old one for dead: what is kept comes again on it. */
  async #refresh(connection: AmqpConnection): Promise<void> {
    this.detach()
    try {
      await this.attach(connection)
    } catch (error) {
      this.#options.link.repair(this, error)
    }
  }

  #delivered(message: AmqpMessage | null, settler: Settler): void {
    const { link, queue } = this.#options
    if (settler === this.#settler) this.#cancelSilence()
    this.#probe.heard()
    if (message !== null) this.#turns.add(message, settler)
    else link.repair(this, new Error(`The queue "${queue}" was deleted, or is not available.`))
  }

  async #handle(message: AmqpMessage, settler: Settler): Promise<void> {
    // Of a channel that was left, and comes again.
    if (settler !== this.#settler) return
    const { messageId } = message.properties
    const tag = message.fields.deliveryTag
    const isPlace = isMarker(messageId)
    const event = isPlace ? undefined : this.#turns.read(message)
    const id = isPlace ? messageId : event?.id
    const held = id === undefined ? undefined : this.#held.get(id)
    if (id === this.#marker) this.#compare(settler)
    if (id !== undefined && held !== undefined && held.settler !== settler) {
      this.#held.set(id, { settler, tag })
      if (id === this.#anchor) this.#found(settler)
    } else if (id === undefined || event === undefined || held !== undefined || !this.#isFound) {
      // No event, a second copy of one, or before the anchor.
      this.#pass(tag, settler)
    } else {
      // Held before it is handled, as it may be released as soon as it is.
      this.#held.set(id, { settler, tag })
      await this.#turns.ask(event, id)
    }
  }

  /** Nothing is acknowledged before the anchor has come: it might be another queue of the same name. */
  #pass(tag: number, settler: Settler): void {
    if (this.#isFound) settler.ack(tag)
    else if (this.#passed.push(tag) >= LIMIT) this.#endWith(this.#gone())
  }

  #found(settler: Settler): void {
    this.#isFound = true
    this.#isNew = false
    this.#positioned.open()
    for (const tag of this.#passed.splice(0)) settler.ack(tag)
  }

  #release(position: string): void {
    const anchor = this.#held.get(position)
    if (anchor === undefined) return
    this.#anchor = position
    // What is released, and has to come again on this channel, will come before the anchor.
    this.#isFound &&= anchor.settler === this.#settler
    for (const [id, { settler, tag }] of this.#held) {
      if (id === position) return
      this.#held.delete(id)
      if (settler !== undefined && settler === this.#settler) this.#pass(tag, settler)
    }
  }

  /** All that is held has come again; otherwise there is a gap. */
  #compare(settler: Settler): void {
    const isMissing = (held: Held): boolean => held.settler !== settler
    if ([...this.#held.values()].some(isMissing)) this.#endWith(this.#gone())
    else this.#history.open()
  }

  #gone(): GatewayError {
    const { queue } = this.#options
    // Its first message was there a moment ago: another that begins anew has emptied the queue.
    if (this.#isNew) return notAlone(queue)
    return gone(
      `The queue "${queue}" does not have the event of the snapshot: it was deleted, emptied or read further.`,
    )
  }
}
