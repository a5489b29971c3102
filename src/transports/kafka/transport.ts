import { type ErrorDetails, GatewayError, toGatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { inTime } from '../../core/in-time.js'
import type {
  Channel,
  LogFacts,
  MessageHandler,
  PublishOptions,
  Reader,
  ReplyAddress,
  Subscription,
  Transport,
  TransportListener,
} from '../../core/transport.js'
import type { IncomingRecord } from '../profiles/kafka-wire.js'
import { DeadLetters } from './dead-letters.js'
import { explainStart } from './failures.js'
import { Monitor } from './monitor.js'
import type { KafkaSettings } from './options.js'
import { noTopic, Publisher } from './publisher.js'
import { Reading } from './reading.js'
import { compactedText, Topics } from './topics.js'
import { answered, pause } from './waiting.js'

const CHECK_EVERY_MS = 1000
/** Clients try again for half a minute, or for ever. */
const CONNECT_MS = 6000
const CLOSE_MS = 1000
const WARNINGS_LIMIT = 100

/** The transport behind `kafka()`. */
export class KafkaTransport implements Transport {
  readonly name = 'kafka'
  readonly durability = { class: 'durable' } as const
  readonly #settings: KafkaSettings
  readonly #topics: Topics
  readonly #publisher: Publisher
  readonly #deadLetters: DeadLetters
  readonly #monitor: Monitor
  readonly #readings = new Set<Reading>()
  readonly #warned = new Set<string>()
  #starting: Promise<void> | undefined
  #users = 0
  readonly #skippedChecks = new Set<string>()

  constructor(settings: KafkaSettings) {
    const { client, clock, inFlight, topics } = settings
    this.#settings = settings
    this.#topics = new Topics(topics)
    this.#publisher = new Publisher({ client, clock, inFlight, refusedBy: (topic) => this.#topics.forget(topic) })
    this.#deadLetters = new DeadLetters({
      topic: topics.deadLetters,
      publish: (record) => this.#publisher.publish(record),
      warn: (text) => this.#warn(text),
      report: (error) => this.#monitor.tell(error),
    })
    this.#monitor = new Monitor({ clock, everyMs: CHECK_EVERY_MS, ask: () => client.check() })
  }

  /** What every topic of requests takes. */
  get maxBodyBytes(): number {
    const limits = this.#topics.requests.map((topic) => this.#topics.maxBodyBytes(topic))
    return Math.min(this.#settings.maxBodyBytes, ...limits)
  }

  maxBodyBytesOf(type: string): number {
    const topic = this.#topics.ofRequest(type)
    const limit = topic === undefined ? Number.POSITIVE_INFINITY : this.#topics.maxBodyBytes(topic)
    return Math.min(this.#settings.maxBodyBytes, limit)
  }

  checkRequestTypes(types: readonly string[]): void {
    this.#topics.ofRequests(types)
  }

  learnMaxBodyBytesOf(type: string): Promise<void> | undefined {
    const topic = this.#topics.ofRequest(type)
    if (topic === undefined || this.#topics.takes(topic, 'requests')) return undefined
    return this.#topics.find(topic, this.#settings.client).then((facts) => {
      // One that is not there, or compacted, is refused by `publish`.
      if (facts !== undefined) this.#skip(this.#topics.unknownOf(topic))
    })
  }

  replyAddress(): ReplyAddress {
    if (this.#topics.replyTo !== undefined) return { durability: this.durability }
    return { missing: 'with results on several topics, topics.replyTo of kafka() says which of them is for answers.' }
  }

  /** How many messages no handler could handle. */
  get parked(): number {
    return this.#deadLetters.parked
  }

  /** What the broker did not let this user ask, of all readings. */
  get skippedChecks(): readonly string[] {
    return [...this.#skippedChecks]
  }

  async start(listener?: TransportListener): Promise<void> {
    this.#users += 1
    try {
      this.#starting ??= this.#start()
      await this.#starting
    } catch (error) {
      // Not below zero, where it was closed before its start has failed.
      this.#users = Math.max(this.#users - 1, 0)
      this.#starting = undefined
      throw error
    }
    if (listener !== undefined) this.#monitor.add(listener)
  }

  async #start(): Promise<void> {
    const { client, clock, optionNames } = this.#settings
    try {
      await answered(client.connect(), CONNECT_MS)
      await this.#topics.check(this.#topics.static, client, this.#pause)
      this.#topics.refuseCompacted(this.#topics.requests, 'requests')
      for (const topic of this.#topics.requests) this.#skip(this.#topics.unknownOf(topic))
    } catch (error) {
      await inTime(client.close(), CLOSE_MS, clock).catch(() => {})
      throw explainStart(error, optionNames)
    }
  }

  async close(): Promise<void> {
    this.#users = Math.max(this.#users - 1, 0)
    if (this.#users > 0 || this.#starting === undefined) return
    this.#starting = undefined
    this.#monitor.close()
    await Promise.all([...this.#readings].map((reading) => reading.close()))
    await this.#settings.client.close()
  }

  async check(): Promise<void> {
    this.#assertOpen()
    try {
      await this.#monitor.check()
    } catch (error) {
      throw toGatewayError(error, 'ERR_TRANSPORT_UNAVAILABLE')
    }
  }

  // No async function: its frame would be kept for as long as the record is on its way.
  publish(message: EventMessage, options: PublishOptions): Promise<void> {
    try {
      const topic = this.#topicFor(message, options)
      const record = this.#settings.binding.toRecord(this.#addressed(message, options.channel), topic)
      if (this.#topics.takes(topic, options.channel)) return this.#publisher.publish(record)
      return this.#assertTopic(topic, options.channel).then(() => this.#publisher.publish(record))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #topicFor({ body, type }: EventMessage, { channel, replyTo }: PublishOptions): string {
    this.#assertOpen()
    const { maxBodyBytes } = this.#settings
    if (body.byteLength > maxBodyBytes) {
      const text = `The body of ${type} has ${body.byteLength} bytes, more than maxBodyBytes (${maxBodyBytes}).`
      throw refused(text, { isPermanent: true })
    }
    const topic = channel === 'results' ? this.#topics.ofResult(type, replyTo) : this.#topics.ofRequest(type)
    if (topic === undefined) throw refused(`topics.${channel} has no topic for ${type}.`, { isPermanent: true })
    return topic
  }

  async subscribe(subscription: Subscription, onMessage: MessageHandler): Promise<Reader> {
    this.#assertOpen()
    const { client, binding, clock, groupPrefix } = this.#settings
    const { channel, reading: kind } = subscription
    const topics = this.#topics.read(subscription)
    if (topics.length === 0) throw new GatewayError('ERR_CONFIG', `kafka() was given no topics.${channel} to read.`)
    await this.#topics.check(topics, client, this.#pause)
    if (kind.kind !== 'replay') this.#skip(this.#topics.refuseCompacted(topics, channel))
    const log = kind.kind === 'replay' ? this.#logOf(topics) : undefined
    const group = kind.kind === 'shared' ? `${groupPrefix}${kind.group}` : undefined
    const park = (record: IncomingRecord, from: string) => this.#deadLetters.park(record, from)
    const warn = (text: string, cause?: unknown) => this.#warn(text, cause)
    const partitions = this.#topics.partitionsOf(topics)
    const retentionMsOf = (topic: string) => this.#topics.retentionMsOf(topic)
    const parts = {
      client,
      binding,
      clock,
      topics,
      partitions,
      group,
      groupPrefix,
      subscription,
      onMessage,
      retentionMsOf,
      park,
      warn,
    }
    const reading = new Reading(parts)
    this.#readings.add(reading)
    try {
      await reading.open()
    } catch (error) {
      this.#readings.delete(reading)
      throw toGatewayError(error, 'ERR_TRANSPORT_UNAVAILABLE')
    }
    const { caughtUp, ended } = reading
    void ended.then(() => this.#readings.delete(reading))
    const close = () => reading.close().finally(() => this.#readings.delete(reading))
    return { caughtUp, ended, ...(log && { log }), close }
  }

  #logOf(topics: readonly string[]): LogFacts {
    const { log, unknown } = this.#topics.logFacts(topics)
    this.#skip(unknown)
    return log
  }

  #skip(checks: readonly string[]): void {
    for (const check of checks) this.#skippedChecks.add(check)
  }

  readonly #pause = (ms: number): Promise<void> => pause(this.#settings.clock, ms)

  #assertOpen(): void {
    if (this.#users > 0) return
    const text = 'The Kafka transport is not started.'
    throw new GatewayError('ERR_TRANSPORT_UNAVAILABLE', text, { outcome: 'not-accepted' })
  }

  /** Requests say where to answer, unless the gateway has said it. */
  #addressed(message: EventMessage, channel: Channel): EventMessage {
    if (channel === 'results' || message.replyTo !== undefined) return message
    const replyTo = this.#topics.addressOf(message)
    return replyTo === undefined ? message : { ...message, replyTo }
  }

  async #assertTopic(topic: string, channel: Channel): Promise<void> {
    const { client } = this.#settings
    const facts = await this.#topics.find(topic, client).catch((cause: unknown) => {
      const text = `No Kafka broker can be reached to look up the topic ${topic}.`
      throw new GatewayError('ERR_TRANSPORT_UNAVAILABLE', text, { cause, outcome: 'not-accepted' })
    })
    if (facts === undefined) throw refused(noTopic(topic), { isPermanent: true })
    if (this.#topics.takes(topic, channel)) return
    // Looked up again for the next request, as its policy may have been changed.
    this.#topics.forget(topic)
    throw refused(compactedText(topic, channel), { isPermanent: true })
  }

  #warn(text: string, cause?: unknown): void {
    // Offsets differ every time; the rest of a text is one kind of warning.
    const kind = text.replace(/\d+/g, '')
    if (this.#warned.has(kind) || this.#warned.size >= WARNINGS_LIMIT) return
    this.#warned.add(kind)
    const detail = cause === undefined ? {} : { detail: cause instanceof Error ? cause.message : String(cause) }
    process.emitWarning(text, { type: 'RespondAsyncWarning', ...detail })
  }
}

function refused(text: string, details: ErrorDetails = {}): GatewayError {
  return new GatewayError('ERR_PUBLISH_REJECTED', text, { ...details, outcome: 'not-accepted' })
}
