import type { Clock } from '../../core/clock.js'
import type { EventMessage } from '../../core/event.js'
import type { Delivery, MessageHandler, Reader, Settlement } from '../../core/transport.js'
import { CatchUp } from './catch-up.js'
import type { AmqpChannel, AmqpConnection, AmqpMessage, QueueState } from './client.js'
import { explainStep } from './failures.js'
import { closeChannel, type Link, type Part } from './link.js'
import { openReading } from './reading-channel.js'
import { isProbe, SelfProbe } from './self-probe.js'
import type { Settler } from './settler.js'

/** A queue that a reader takes from. */
export interface Source {
  readonly queue: string
  /** The type of its messages, where the queue has only one. */
  readonly type?: string
  declare(channel: AmqpChannel): Promise<QueueState>
}

/** Gets each message of a queue, and how it came there. */
export type QueueHandler = (
  message: EventMessage,
  delivery: Delivery,
  fields: AmqpMessage['fields'],
) => ReturnType<MessageHandler>

/** What a reader works with. */
export interface ReaderOptions {
  readonly sources: readonly Source[]
  /** How many messages are handled at a time. */
  readonly concurrency: number
  /** True: the queues are of this reader alone; nothing comes again, and the queues go with the reader. */
  readonly isOwn: boolean
  readonly clock: Clock
  readonly link: Link
  readonly onMessage: QueueHandler
  /** Throws when the message cannot be understood. */
  parse(message: AmqpMessage, source: Source): EventMessage
  count(what: 'poison' | 'parked' | 'requeued'): void
  /** Publishes a probe into a queue. Never over the link: what publishes is held up in an alarm, and must not read. */
  probe(queue: string): Promise<void>
  /** True while the broker takes no messages. */
  isBlocked(): boolean
  onClosed(reader: QueueReader): void
}

const FIRST_DELAY_MS = 10
const LONGEST_DELAY_MS = 1000

/** Reads queues on a channel of its own, and settles each message after its handler. */
export class QueueReader implements Part, Reader {
  readonly caughtUp: Promise<void>
  readonly #options: ReaderOptions
  readonly #catchUp: CatchUp
  readonly #waiting: (readonly [AmqpMessage, Source, Settler])[] = []
  /** Handlers that run, and messages that are held back before they return to the queue. */
  #running = 0
  readonly #held = new Set<() => void>()
  /** Only where a silence would go unnoticed: what a group does not read, its queue shows. */
  readonly #probe: SelfProbe | undefined
  #channel: AmqpChannel | undefined
  #settler: Settler | undefined
  #tags: string[] = []
  #isClosing: Promise<void> | undefined
  #idle: (() => void)[] = []

  constructor(options: ReaderOptions) {
    this.#options = options
    const { clock, isOwn, isBlocked } = options
    const probe = { clock, isBlocked, send: () => this.#sendProbe(), onSilence: () => this.#silent() }
    this.#probe = isOwn ? new SelfProbe(probe) : undefined
    this.#catchUp = new CatchUp({ clock, isIdle: () => this.#isIdle() })
    this.caughtUp = this.#catchUp.done
  }

  async attach(connection: AmqpConnection): Promise<void> {
    const { sources, concurrency, clock, link } = this.#options
    const { channel, settler } = await openReading(connection, clock, (lost, reason) => {
      if (this.#channel === lost) link.repair(this, reason)
    })
    await channel.prefetch(concurrency)
    let before = 0
    const tags: string[] = []
    for (const source of sources) {
      before += (await source.declare(channel)).messageCount
      const take = (message: AmqpMessage | null): void => this.#take(message, source, settler)
      const consuming = channel.consume(source.queue, take)
      tags.push((await consuming.catch((error: unknown) => refuse(error, source))).consumerTag)
    }
    this.#channel = channel
    this.#settler = settler
    this.#tags = tags
    this.#catchUp.expect(before)
    this.#probe?.start()
  }

  detach(_error: unknown): void {
    const channel = this.#channel
    this.#channel = undefined
    this.#probe?.stop()
    this.#settler?.lost()
    this.#waiting.length = 0
    for (const release of this.#held) release()
    // When it was the broker that ended the consumer alone, the channel is still open.
    void channel?.close().catch(() => {})
  }

  close(): Promise<void> {
    this.#isClosing ??= this.#close()
    return this.#isClosing
  }

  async #close(): Promise<void> {
    const { link, isOwn, sources, clock, onClosed } = this.#options
    const channel = this.#channel
    // What is lost from now on need not be repaired.
    link.remove(this)
    this.#probe?.stop()
    this.#catchUp.close()
    // A channel that is gone has no consumers any more.
    const end = async (step: () => Promise<unknown> | undefined): Promise<void> => void (await attempt(step))
    for (const tag of this.#tags) await end(() => channel?.cancel(tag))
    for (const [message, , settler] of this.#waiting.splice(0)) settler.nack(message.fields.deliveryTag, true)
    for (const release of this.#held) release()
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
    this.#settler?.flush()
    if (isOwn) for (const { queue } of sources) await end(() => channel?.deleteQueue(queue))
    this.#channel = undefined
    await closeChannel(channel, clock)
    onClosed(this)
  }

  #take(message: AmqpMessage | null, source: Source, settler: Settler): void {
    if (message === null) {
      this.#options.link.repair(this, new Error(`The queue "${source.queue}" was deleted, or is not available.`))
      return
    }
    settler.delivered(message.fields.deliveryTag)
    this.#probe?.heard()
    // What comes after a close goes back to the queue with the channel.
    if (this.#isClosing) return
    if (this.#probe !== undefined && isProbe(message)) settler.ack(message.fields.deliveryTag)
    else if (this.#running < this.#options.concurrency) this.#start(message, source, settler)
    else this.#waiting.push([message, source, settler])
  }

  #sendProbe(): Promise<void> | undefined {
    const { probe, concurrency, sources } = this.#options
    // A reader with its hands full gets nothing.
    if (this.#channel === undefined || this.#running >= concurrency) return undefined
    return Promise.all(sources.map(({ queue }) => probe(queue))).then(() => {})
  }

  #silent(): void {
    const names = this.#options.sources.map(({ queue }) => `"${queue}"`).join(', ')
    this.#options.link.repair(this, new Error(`What is sent to ${names} does not come any more.`))
  }

  #start(message: AmqpMessage, source: Source, settler: Settler): void {
    if (this.#options.isOwn) this.#handOver(message, source, settler)
    else void this.#handle(message, source, settler)
  }

  /**
   * A message of an own queue is done whatever becomes of it. A chain instead of async functions: every answer that a
   * gateway waits for comes through here.
   */
  #handOver(message: AmqpMessage, source: Source, settler: Settler): void {
    const { parse, onMessage, count } = this.#options
    this.#running += 1
    const done = (): void => {
      settler.ack(message.fields.deliveryTag)
      this.#running -= 1
      this.#catchUp.handled()
      this.#next()
    }
    let event: EventMessage
    try {
      event = parse(message, source)
    } catch {
      count('poison')
      done()
      return
    }
    if (event.isUnreadable) count('poison')
    try {
      onMessage(event, { attempt: attemptOf(message) }, message.fields).then(done, done)
    } catch {
      done()
    }
  }

  async #handle(message: AmqpMessage, source: Source, settler: Settler): Promise<void> {
    this.#running += 1
    const attempt = attemptOf(message)
    const settlement = await this.#ask(message, source, attempt)
    const tag = message.fields.deliveryTag
    const { count } = this.#options
    if (settlement === 'park') {
      count('parked')
      settler.nack(tag, false)
    } else if (settlement === 'requeue') {
      count('requeued')
      await this.#hold(attempt)
      settler.nack(tag, true)
    } else settler.ack(tag)
    this.#running -= 1
    if (settlement !== 'requeue') this.#catchUp.handled()
    this.#next()
  }

  async #ask(message: AmqpMessage, source: Source, attempt: number): Promise<Settlement> {
    const { parse, onMessage, count } = this.#options
    let event: EventMessage
    try {
      event = parse(message, source)
    } catch {
      // Coming again would not make it any better.
      count('poison')
      return 'park'
    }
    let settlement: Settlement
    try {
      settlement = (await onMessage(event, { attempt }, message.fields)) ?? 'ack'
    } catch {
      return 'requeue'
    }
    if (!event.isUnreadable || settlement === 'requeue') return settlement
    // It is to be found among the dead letters, whatever its handler says.
    count('poison')
    return 'park'
  }

  /** A message that is given back is delivered again at once, so it is kept for 10 ms, 20 ms up to 1 s before. */
  #hold(attempt: number): Promise<void> {
    if (this.#isClosing || this.#channel === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      const release = (): void => {
        cancel()
        this.#held.delete(release)
        resolve()
      }
      const delay = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS)
      const cancel = this.#options.clock.setTimer(release, delay)
      this.#held.add(release)
    })
  }

  #next(): void {
    const next = this.#isClosing ? undefined : this.#waiting.shift()
    if (next !== undefined) this.#start(...next)
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #isIdle(): Promise<boolean> {
    const channel = this.#channel
    const states = await Promise.all(
      this.#options.sources.map(({ queue }) => attempt(() => channel?.checkQueue(queue))),
    )
    return this.#running === 0 && states.every((state) => state?.messageCount === 0)
  }
}

/**
 * 1 for the first delivery, also where its sender says something else; quorum queues count, others only say that it is
 * not the first. amqplib makes a header called `__proto__` the prototype of the others.
 */
function attemptOf({ fields, properties: { headers } }: AmqpMessage): number {
  if (!fields.redelivered) return 1
  const name = 'x-delivery-count'
  const count = headers && Object.hasOwn(headers, name) ? headers[name] : undefined
  return typeof count === 'number' ? count + 1 : 2
}

/** A step of an end, which is done as well when there is nothing left to end. */
async function attempt<T>(step: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await step()
  } catch {
    return undefined
  }
}

function refuse(error: unknown, { queue }: Source): never {
  throw explainStep(error, `Reading the queue "${queue}"`)
}
