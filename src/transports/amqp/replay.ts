import type { Clock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import type { MessageHandler, Reader } from '../../core/transport.js'
import type { AmqpChannel, AmqpConnection, AmqpMessage } from './client.js'
import { explainStep } from './failures.js'
import type { Link, Part } from './link.js'
import { Settler } from './settler.js'

/** What a replay works with. */
export interface ReplayOptions {
  readonly stream: string
  /** The first offset that is wanted. */
  readonly from: number | 'next'
  /** The routing key of the message that this replay publishes to itself: when it is read, all before it has been. */
  readonly marker: string
  readonly clock: Clock
  readonly link: Link
  readonly onMessage: MessageHandler
  declare(channel: AmqpChannel): Promise<unknown>
  /** Undefined for what is no event; throws when the message cannot be understood. */
  parse(message: AmqpMessage): EventMessage | undefined
  count(what: 'poison'): void
  onClosed(reader: ReplayReader): void
}

/** Streams are read with a limit, and acknowledging makes room for more. */
const PREFETCH = 256
const FIRST_DELAY_MS = 10
const LONGEST_DELAY_MS = 1000

/** Reads a stream from an offset on, one message at a time; after a reconnect it goes on where it was. */
export class ReplayReader implements Part, Reader {
  readonly caughtUp: Promise<void>
  readonly #options: ReplayOptions
  readonly #waiting: (readonly [AmqpMessage, Settler])[] = []
  /** The offset of the next message that has not been handled. */
  #next: number
  #channel: AmqpChannel | undefined
  #running: Promise<void> | undefined
  #release: (() => void) | undefined
  #isClosing: Promise<void> | undefined
  #caughtUp = (): void => {}
  #fail = (_error: GatewayError): void => {}

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#next = options.from === 'next' ? 0 : options.from
    this.caughtUp = new Promise<void>((resolve, reject) => {
      this.#caughtUp = resolve
      this.#fail = reject
    })
    // Who does not ask need not handle the error.
    this.caughtUp.catch(() => {})
  }

  async attach(connection: AmqpConnection): Promise<void> {
    const { stream, clock, link, declare, from } = this.#options
    const channel = await connection.createChannel()
    const settler = new Settler(channel, clock)
    let failure: unknown
    channel.on('error', (error: unknown) => {
      failure ??= error
    })
    channel.on('close', () => {
      settler.lost()
      if (this.#channel === channel) link.repair(this, failure ?? new Error('The channel was closed.'))
    })
    await declare(channel)
    await channel.prefetch(PREFETCH)
    this.#waiting.length = 0
    // Offset 0 is gone where the stream has lost its beginning.
    const start = from === 'next' ? 'next' : 'first'
    const take = (message: AmqpMessage | null): void => this.#take(message, settler)
    try {
      await channel.consume(stream, take, { arguments: { 'x-stream-offset': this.#next || start } })
    } catch (error) {
      throw explainStep(error, `Reading the stream "${stream}"`)
    }
    this.#channel = channel
  }

  detach(_error: unknown): void {
    const channel = this.#channel
    this.#channel = undefined
    this.#waiting.length = 0
    // When it was the broker that ended the consumer alone, the channel is still open.
    void channel?.close().catch(() => {})
  }

  close(): Promise<void> {
    this.#isClosing ??= this.#close()
    return this.#isClosing
  }

  async #close(): Promise<void> {
    const { link, onClosed } = this.#options
    const channel = this.#channel
    this.#channel = undefined
    link.remove(this)
    this.#fail(new GatewayError('ERR_CLOSED', 'The reader was closed before it had caught up.'))
    this.#waiting.length = 0
    this.#release?.()
    await this.#running
    await channel?.close().catch(() => {})
    onClosed(this)
  }

  #take(message: AmqpMessage | null, settler: Settler): void {
    if (message === null) {
      this.#options.link.repair(this, new Error(`The stream "${this.#options.stream}" is not available.`))
      return
    }
    settler.delivered(message.fields.deliveryTag)
    if (this.#isClosing) return
    this.#waiting.push([message, settler])
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const [message, settler] = next
      await this.#handle(message)
      settler.ack(message.fields.deliveryTag)
      if (this.#isClosing) return
    }
  }

  async #handle(message: AmqpMessage): Promise<void> {
    const offset = offsetOf(message)
    // A chunk of a stream comes whole, and after a reconnect some of it was handled before.
    if (offset < this.#next) return
    if (message.fields.routingKey === this.#options.marker) this.#caughtUp()
    else if (!(await this.#ask(message, offset))) return
    this.#next = offset + 1
  }

  /** Until it succeeds: a gap would never be noticed. False when the reader was closed meanwhile. */
  async #ask(message: AmqpMessage, offset: number): Promise<boolean> {
    const event = this.#parse(message)
    if (event === undefined) return true
    for (let attempt = 1; ; attempt += 1) {
      try {
        const settlement = await this.#options.onMessage(event, { attempt, position: String(offset) })
        if (settlement !== 'requeue') return true
      } catch {
        // It is tried again as if it had asked for it.
      }
      await this.#pause(attempt)
      if (this.#isClosing) return false
    }
  }

  #parse(message: AmqpMessage): EventMessage | undefined {
    try {
      return this.#options.parse(message)
    } catch {
      this.#options.count('poison')
      return undefined
    }
  }

  async #pause(attempt: number): Promise<void> {
    if (this.#isClosing) return
    await new Promise<void>((resolve) => {
      const delay = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS)
      const cancel = this.#options.clock.setTimer(resolve, delay)
      this.#release = () => {
        cancel()
        resolve()
      }
    })
    this.#release = undefined
  }
}

function offsetOf({ properties }: AmqpMessage): number {
  return Number(properties.headers?.['x-stream-offset'])
}
