import { createId } from '../../core/ids.js'
import type { AmqpArguments, AmqpChannel, QueueState } from './client.js'
import { explainStep } from './failures.js'
import type { AmqpSettings } from './options.js'
import type { Address } from './publisher.js'

/** After this time without a reader the broker deletes the own queue of an instance. */
const EXPIRES_MS = 60_000
/** A result comes back until it is recorded: the limit ends only what would go round for days. */
const RESULT_DELIVERY_LIMIT = 10_000
/** What nobody reads for so long is the queue of a reader that is gone for good, and would fill the disk. */
const KEPT_EXPIRES_MS = 7 * 86_400_000
/** The most there is: RabbitMQ 4 would drop after 20, and the message of a snapshot comes with every start. */
const NO_DELIVERY_LIMIT = 1_000_000_000

// Without dots, as it is one word of a routing key, and without slashes, as Spring takes what is before one for an
// exchange, and closes the worker's channel when there is none of that name.
const OWN_QUEUE = /^[A-Za-z0-9_-]+-own-[0-9A-HJKMNP-TV-Z]{26}$/

/** Ends the names of the queues of recorders. */
const RECORDER = '.recorder'

/** The names of exchanges and queues, and how each is declared. */
export class Topology {
  readonly #settings: AmqpSettings
  readonly requests: string
  readonly results: string
  readonly stream: string

  constructor(settings: AmqpSettings) {
    const { prefix, requests, results } = settings
    this.#settings = settings
    this.requests = requests.exchange ?? `${prefix}.requests`
    this.results = results.exchange ?? `${prefix}.results`
    this.stream = `${this.results}.replay`
  }

  /** A name with a new incarnation: what was meant for a predecessor stays away. */
  ownQueue(): string {
    const { prefix, clock } = this.#settings
    return `${wordOf(prefix)}-own-${createId(clock.now())}`
  }

  /** The queue that a group shares; of requests there is one for each type, as members may know different types. */
  requestQueue(group: string, type: string): string {
    return this.#settings.requests.queues?.[type] ?? `${this.requests}.${group}.${type}`
  }

  recorderQueue(group: string): string {
    return `${this.results}.${group}`
  }

  /** The queue that keeps what the replay of this name has not released. */
  keptQueue(name: string): string {
    return `${this.results}.kept.${name}`
  }

  requestAddress(type: string): Address {
    const route = this.#settings.requests.routes?.[type]
    if (route === undefined) return { exchange: this.requests, key: type, mandatory: true }
    return { exchange: route.exchange ?? '', key: route.key, mandatory: true }
  }

  /** Results are not mandatory: nobody may be interested, and RabbitMQ 3 returns direct replies that it has delivered. */
  resultAddress(type: string, replyTo: string | undefined): Address {
    if (replyTo === undefined) return { exchange: this.results, key: type, mandatory: false }
    const reader = this.#readerOf(replyTo)
    if (reader === undefined) return { exchange: '', key: replyTo, mandatory: false }
    return { exchange: this.results, key: `${reader}.${type}`, mandatory: false }
  }

  /** What a routing key says of the type: results that are addressed to an instance have its name in front. */
  typeOf(routingKey: string): string {
    const dot = routingKey.indexOf('.')
    return dot > 0 && OWN_QUEUE.test(routingKey.slice(0, dot)) ? routingKey.slice(dot + 1) : routingKey
  }

  /**
   * The word that stands for one of our readers in routing keys. What is addressed to it goes through the exchange of
   * results as well, where streams and kept queues get their copies; other queues are reached by their names alone.
   */
  #readerOf(replyTo: string): string | undefined {
    const isRecorder = replyTo.startsWith(`${this.results}.`) && replyTo.endsWith(RECORDER)
    return isRecorder || OWN_QUEUE.test(replyTo) ? wordOf(replyTo) : undefined
  }

  /** Everything that is published to. */
  async exchanges(channel: AmqpChannel): Promise<void> {
    const { requests, replay } = this.#settings
    await this.#requestsExchange(channel)
    await this.#resultsExchange(channel)
    const others = Object.values(requests.routes ?? {}).map(({ exchange = '' }) => exchange)
    for (const name of new Set(others)) if (name !== '') await exchange(channel, name, 'requests.routes')
    // Before the first result, as what was published before it is in no replay.
    if (replay !== false && replay !== 'queues') await this.declareStream(channel)
  }

  async declareOwn(channel: AmqpChannel, queue: string, types: readonly string[]): Promise<QueueState> {
    await this.#resultsExchange(channel)
    const state = await declare(channel, queue, { 'x-expires': EXPIRES_MS })
    await this.#bind(channel, queue, [`${queue}.#`, ...this.#keys(types)])
    return state
  }

  /**
   * Checks that this user may publish to the default exchange, as a gateway's messages to its own queue do. A broker looks
   * at that where a queue has it for its dead letters, and says it although it takes no messages at the moment.
   */
  async checkDefaultExchange(channel: AmqpChannel): Promise<void> {
    const { prefix, clock } = this.#settings
    const queue = `${prefix}.check.${createId(clock.now())}`
    const options = { durable: false, exclusive: true, arguments: { 'x-dead-letter-exchange': '' } }
    const what = `what a gateway sends to its own queue ("write" on the default exchange, amq.default)`
    await step(what, () => channel.assertQueue(queue, options))
    await step(`The queue "${queue}"`, () => channel.deleteQueue(queue))
  }

  async declareRecorder(channel: AmqpChannel, queue: string, types: readonly string[]): Promise<QueueState> {
    await this.#resultsExchange(channel)
    const state = await declareQuorum(channel, queue, RESULT_DELIVERY_LIMIT)
    await this.#bind(channel, queue, [`${wordOf(queue)}.#`, ...this.#recorded(types)])
    return state
  }

  /** Without its bindings, so that nothing is in a new one yet. */
  declareKept(channel: AmqpChannel, queue: string): Promise<QueueState> {
    return declare(channel, queue, {
      'x-queue-type': 'quorum',
      // Two that read at a time, such as a reader and its predecessor's lost connection, would not keep the order.
      'x-single-active-consumer': true,
      'x-expires': KEPT_EXPIRES_MS,
      'x-delivery-limit': NO_DELIVERY_LIMIT,
    })
  }

  checkKept(channel: AmqpChannel, queue: string): Promise<QueueState> {
    return step(`The queue "${queue}"`, () => channel.checkQueue(queue))
  }

  async bindKept(channel: AmqpChannel, queue: string, types: readonly string[]): Promise<void> {
    await this.#resultsExchange(channel)
    await this.#bind(channel, queue, this.#recorded(types))
  }

  async declareRequests(channel: AmqpChannel, queue: string, type: string): Promise<QueueState> {
    const { queues, deliveryLimit } = this.#settings.requests
    if (queues?.[type] !== undefined)
      return step(`The queue "${queue}" (option requests.queues)`, () => channel.checkQueue(queue))
    await this.#requestsExchange(channel)
    const state = await declareQuorum(channel, queue, deliveryLimit)
    await step(`Binding "${queue}" to "${this.requests}"`, () => channel.bindQueue(queue, this.requests, type))
    return state
  }

  async declareStream(channel: AmqpChannel): Promise<QueueState> {
    const { replay } = this.#settings
    const { maxAge, maxBytes } = typeof replay === 'object' ? replay : {}
    const state = await declare(channel, this.stream, {
      'x-queue-type': 'stream',
      ...(maxAge !== undefined && { 'x-max-age': maxAge }),
      ...(maxBytes !== undefined && { 'x-max-length-bytes': maxBytes }),
    })
    await this.#bind(channel, this.stream, ['#'])
    return state
  }

  /** Binding keys of all results of these types, also of those that are addressed to an instance. */
  #recorded(types: readonly string[]): readonly string[] {
    return [...types.map((type) => `*.${type}`), ...this.#keys(types)]
  }

  #keys(types: readonly string[]): readonly string[] {
    return this.#settings.results.keys ?? types
  }

  async #bind(channel: AmqpChannel, queue: string, keys: readonly string[]): Promise<void> {
    for (const key of new Set(keys))
      await step(`Binding "${queue}" to "${this.results}"`, () => channel.bindQueue(queue, this.results, key))
  }

  async #requestsExchange(channel: AmqpChannel): Promise<void> {
    const isForeign = this.#settings.requests.exchange !== undefined
    await exchange(channel, this.requests, isForeign ? 'requests.exchange' : undefined)
  }

  async #resultsExchange(channel: AmqpChannel): Promise<void> {
    const isForeign = this.#settings.results.exchange !== undefined
    await exchange(channel, this.results, isForeign ? 'results.exchange' : undefined)
  }
}

/** One word of a routing key. */
function wordOf(name: string): string {
  return name.replaceAll('.', '-')
}

/** What others have made, and an option names, is looked at, never declared: it might be of another kind. */
async function exchange(channel: AmqpChannel, name: string, option: string | undefined): Promise<void> {
  const durable = { durable: true }
  if (option === undefined) await step(`The exchange "${name}"`, () => channel.assertExchange(name, 'topic', durable))
  else await step(`The exchange "${name}" (option ${option})`, () => channel.checkExchange(name))
}

/** A queue and the one where its dead letters go, which nobody reads but people. */
async function declareQuorum(channel: AmqpChannel, queue: string, limit: number): Promise<QueueState> {
  const parked = `${queue}.parked`
  await declare(channel, parked, { 'x-queue-type': 'quorum' })
  return declare(channel, queue, {
    'x-queue-type': 'quorum',
    'x-delivery-limit': limit,
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': parked,
    // A dead letter leaves this queue only when the other one has it; it is available with this overflow only.
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  })
}

function declare(channel: AmqpChannel, queue: string, args: AmqpArguments): Promise<QueueState> {
  return step(`The queue "${queue}"`, () => channel.assertQueue(queue, { durable: true, arguments: args }))
}

async function step<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw explainStep(error, what)
  }
}
