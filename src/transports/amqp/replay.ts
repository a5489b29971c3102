import type { Clock } from '../../core/clock.js'
import { GatewayError, isGatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import type { MessageHandler, Reader } from '../../core/transport.js'
import type { AmqpChannel, AmqpConnection, AmqpMessage } from './client.js'
import { explainStep } from './failures.js'
import { closeChannel, type Link, type Part } from './link.js'
import { delayOf, OneByOne } from './one-by-one.js'
import { formatPlace, type Place, placeOf } from './place.js'
import { openReading, type ReadingChannel } from './reading-channel.js'
import { SelfProbe } from './self-probe.js'
import type { Settler } from './settler.js'
import { createGate, firstOffset, gone, offsetOf, type Peek, peek } from './stream.js'

/** What a replay works with. */
export interface ReplayOptions {
  readonly stream: string
  /** The message behind which it starts. */
  readonly from: Place | 'beginning' | 'now'
  readonly clock: Clock
  readonly link: Link
  readonly onMessage: MessageHandler
  declare(channel: AmqpChannel): Promise<unknown>
  /** Publishes a message that ends up in the stream, and gives its routing key, which no other has. */
  mark(note: (key: string) => void): Promise<void>
  /** True while the broker takes no messages. */
  isBlocked(): boolean
  /** Undefined for what is no event; throws when the message cannot be understood. */
  parse(message: AmqpMessage): EventMessage | undefined
  count(what: 'poison'): void
  onClosed(reader: ReplayReader): void
}

/** Streams are read with a limit, and acknowledging makes room for more. */
const PREFETCH = 256

/**
 * Reads a stream from an offset on, one message at a time; after a reconnect it goes on where it was. For every channel
 * it publishes a marker to itself: when that is read, all before it has been. Where the marker, the newest message of all,
 * stands before what is to be read, it is not the same stream any more. Nor is it where the message that was read last is
 * another one than it was.
 */
export class ReplayReader implements Part, Reader {
  readonly caughtUp: Promise<void>
  readonly ended: Promise<unknown>
  readonly #options: ReplayOptions
  readonly #turns: OneByOne
  readonly #probe: SelfProbe
  /** The offset of the next message that has not been handled; undefined until the first of a replay from now on. */
  #next: number | undefined
  /** What was read last: each channel reads it again, to know the stream by it. */
  #last: Place | undefined
  /** Of the channel that has brought it again. */
  #known: Settler | undefined
  #connection: AmqpConnection | undefined
  #channel: AmqpChannel | undefined
  #settler: Settler | undefined
  #marker = ''
  #isOpen = false
  #end: Peek | undefined
  #isClosing: Promise<void> | undefined
  #tellEnded = (_reason: unknown): void => {}
  readonly #positioned = createGate()
  readonly #history = createGate()

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#turns = new OneByOne({ ...options, handle: (message, settler) => this.#handle(message, settler) })
    this.#probe = new SelfProbe({
      clock: options.clock,
      isBlocked: options.isBlocked,
      // What is sent stays in the stream, for all who read it.
      isSparing: true,
      send: () => this.#sendProbe(),
      onSilence: () => options.link.repair(this, new Error('RabbitMQ brings nothing of the stream any more.')),
    })
    const { from } = options
    this.#next = from === 'now' ? undefined : from === 'beginning' ? 0 : from.offset + 1
    this.#last = typeof from === 'object' && from.mark !== undefined ? from : undefined
    this.caughtUp = this.#history.passed
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
  }

  /**
   * Resolves when the stream has what is wanted.
   * @throws GatewayError ERR_CONFIG when it has not, as that gap would never be noticed.
   */
  async open(): Promise<this> {
    const { link, mark } = this.#options
    await link.add(this)
    // From here on each new channel has a marker of its own.
    this.#isOpen = true
    try {
      await mark(this.#note)
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
      await this.#attach(opened, connection)
    } catch (error) {
      void opened.channel.close().catch(() => {})
      // A stream that is gone, and cannot be had again as it was, does not come back by waiting.
      if (!this.#isOpen || !isGatewayError(error) || error.code !== 'ERR_CONFIG') throw error
      this.#endWith(error)
    }
  }

  async #attach({ channel, settler }: ReadingChannel, connection: AmqpConnection): Promise<void> {
    const { stream, declare } = this.#options
    // Before anything can come on it.
    this.#connection = connection
    await declare(channel)
    await channel.prefetch(PREFETCH)
    this.#turns.clear()
    const take = (message: AmqpMessage | null): void => this.#delivered(message, settler)
    try {
      const from = this.#last?.offset ?? this.#next ?? 'next'
      await channel.consume(stream, take, { arguments: { 'x-stream-offset': from } })
    } catch (error) {
      throw explainStep(error, `Reading the stream "${stream}"`)
    }
    await this.#watchEnd(connection)
    if (this.#isClosing) {
      void this.#end?.close()
      void channel.close().catch(() => {})
      return
    }
    this.#channel = channel
    this.#settler = settler
    this.#probe.start()
    if (this.#isOpen) void this.#markAgain(channel)
  }

  detach(_error: unknown): void {
    const channel = this.#channel
    this.#channel = undefined
    this.#probe.stop()
    this.#turns.clear()
    void this.#end?.close()
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
    this.#probe.stop()
    link.remove(this)
    const closed = new GatewayError('ERR_CLOSED', 'The reader was closed before it had caught up.')
    this.#positioned.fail(closed)
    this.#history.fail(closed)
    await this.#turns.close()
    await this.#end?.close()
    await closeChannel(channel, clock)
    onClosed(this)
  }

  /** A gap in a replay would never be noticed, so it ends where it would get one. */
  #endWith(reason: GatewayError): void {
    if (this.#isClosing) return
    this.#positioned.fail(reason)
    this.#history.fail(reason)
    this.#tellEnded(reason)
    void this.close()
  }

  /** Ends when the marker stands before what is to be read, as nothing would come for a long time then, and not all. */
  async #watchEnd(connection: AmqpConnection): Promise<void> {
    const { stream, clock } = this.#options
    const next = this.#next
    if (next === undefined) return
    const isIt = (message: AmqpMessage) => message.fields.routingKey === this.#marker
    const end = await peek({ stream, at: 'next', clock, isIt }, connection)
    this.#end = end
    const look = (offset: number): void => {
      void end.close()
      const text = `The stream "${stream}" ends before offset ${next}: it has been made anew, or never had it.`
      if (offset < next) this.#endWith(gone(text))
    }
    end.offset.then(look, () => {})
  }

  /** Another marker; none is brought where no more may come for now. */
  #sendProbe(): Promise<void> | undefined {
    const isFull = (this.#settler?.size ?? PREFETCH) >= PREFETCH
    return this.#channel === undefined || isFull ? undefined : this.#options.mark(() => {})
  }

  readonly #note = (key: string): void => {
    this.#marker = key
  }

  /** Until it succeeds: the connection that publishes may come back later than this one. */
  async #markAgain(channel: AmqpChannel): Promise<void> {
    for (let attempt = 1; this.#channel === channel; attempt += 1) {
      try {
        return await this.#options.mark(this.#note)
      } catch {
        await new Promise<void>((resolve) => void this.#options.clock.setTimer(resolve, delayOf(attempt), true))
      }
    }
  }

  #delivered(message: AmqpMessage | null, settler: Settler): void {
    this.#probe.heard()
    if (message === null) {
      this.#options.link.repair(this, new Error(`The stream "${this.#options.stream}" is not available.`))
      return
    }
    this.#turns.add(message, settler)
  }

  async #handle(message: AmqpMessage, settler: Settler): Promise<void> {
    if (await this.#isNext(message, settler)) {
      this.#known = settler
      const place = placeOf(message)
      if (await this.#take(message, place)) {
        this.#next = place.offset + 1
        this.#last = place
      }
    }
    settler.ack(message.fields.deliveryTag)
  }

  /** False when the reader was closed meanwhile. */
  async #take(message: AmqpMessage, place: Place): Promise<boolean> {
    this.#positioned.open()
    const event = this.#turns.read(message)
    if (event !== undefined) return this.#turns.ask(event, formatPlace(place))
    if (message.fields.routingKey === this.#marker) this.#history.open()
    return true
  }

  /** False for what was handled before, and where a message is missing. */
  async #isNext(message: AmqpMessage, settler: Settler): Promise<boolean> {
    const offset = offsetOf(message)
    const next = this.#next ?? offset
    const isKnown = this.#last === undefined || this.#known === settler
    if (!isKnown && offset === this.#last?.offset) this.#recognise(message, settler)
    // A chunk of a stream comes whole, and after a reconnect some of it was handled before.
    if (offset < next) return false
    return (isKnown && offset === next) || this.#lacksNothing(next, settler)
  }

  #recognise(message: AmqpMessage, settler: Settler): void {
    const { mark, offset } = placeOf(message)
    if (mark === this.#last?.mark) this.#known = settler
    else this.#endWith(anew(this.#options.stream, offset))
  }

  /** Asked where what was read last has not come again, or not what comes after it. */
  async #lacksNothing(next: number, settler: Settler): Promise<boolean> {
    const { stream, link, clock } = this.#options
    const last = this.#known === settler ? undefined : this.#last
    if (this.#connection === undefined) return false
    try {
      const first = await firstOffset(stream, this.#connection, clock)
      if (last !== undefined && first <= last.offset) this.#endWith(anew(stream, last.offset))
      else if (first > next)
        this.#endWith(gone(`The stream "${stream}" has lost its messages from offset ${next} to ${first - 1}.`))
      // Offsets may have holes, where the broker keeps notes of its own in the stream.
      else return true
    } catch (error) {
      // On a new channel it comes again.
      link.repair(this, error)
    }
    return false
  }
}

function anew(stream: string, offset: number): GatewayError {
  return gone(`The stream "${stream}" was made anew: at offset ${offset} it does not have the message that was there.`)
}
