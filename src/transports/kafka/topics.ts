import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { configError, refuseUnknown } from '../../core/options.js'
import type { Channel, Subscription } from '../../core/transport.js'
import type { KafkaClient, TopicFacts } from './client.js'
import { isCompacted, type LogAnswer, logFactsOf } from './log-facts.js'

/** Topics by event type, or one for all. */
export type TopicMap = string | Readonly<Record<string, string>>

/** The topics of a transport. All of them are made by those who run the brokers; this package creates none. */
export interface KafkaTopics {
  /** Where request events go: one topic, or one for each type, or a function of the type. */
  readonly requests?: TopicMap | ((type: string) => string | undefined)
  /** Where result events are awaited and published: one topic, or one for each type. */
  readonly results?: TopicMap
  /**
   * Where workers are asked to answer that know only the address in a request, and where results go whose type has no topic
   * of its own; gateways read it beside `results`. Only needed when results are on several topics. @default the topic of results
   */
  readonly replyTo?: string
  /** Where messages are put that can never be handled. @default they are counted, reported and left behind */
  readonly deadLetters?: string
}

const NAMES = ['requests', 'results', 'replyTo', 'deadLetters']
const LOOKS = 5
const LOOK_PAUSE_MS = 200
/** What is left of `max.message.bytes` for the key, the headers and the frame of a record. */
const HEADER_BYTES = 4096
const LEGAL = /^[A-Za-z0-9._-]{1,249}$/

/** Knows which event goes to which topic, and which of the topics are there. */
export class Topics {
  readonly #given: KafkaTopics
  readonly #facts = new Map<string, TopicFacts>()
  /** The look-ups of single topics that are under way. */
  readonly #asked = new Map<string, Promise<TopicFacts | undefined>>()
  /** Where workers answer that know only the address in a request. */
  readonly replyTo: string | undefined

  constructor(given: KafkaTopics) {
    if (typeof given !== 'object' || given === null) throw configError('topics', given, '{ requests, results }')
    refuseUnknown(given, NAMES, 'topics')
    checkMaps(given)
    this.#given = given
    const { results } = this
    this.replyTo = given.replyTo ?? (results.length === 1 ? results[0] : undefined)
    for (const topic of this.static) if (!isTopic(topic)) throw configError('topics', topic, 'names of topics')
    if (this.static.length === 0 && typeof given.requests !== 'function')
      throw configError('topics', given, 'topics for requests, for results, or for both')
  }

  /** All topics that are named. */
  get static(): string[] {
    const { replyTo, deadLetters } = this.#given
    const optional = [replyTo, deadLetters].filter((topic) => topic !== undefined)
    return [...new Set([...this.requests, ...this.results, ...optional])]
  }

  /** The topics of requests that are named. */
  get requests(): string[] {
    return valuesOf(this.#given.requests)
  }

  get results(): string[] {
    return valuesOf(this.#given.results)
  }

  /** The topic of a request event. */
  ofRequest(type: string): string | undefined {
    const { requests } = this.#given
    return typeof requests === 'function' ? requests(type) : topicIn(requests, type)
  }

  /** The topic of a result event: that of its type; where all have one, that which the request asks for comes first. */
  ofResult(type: string, asked: string | undefined): string | undefined {
    const { results } = this.#given
    return typeof results === 'string' ? (asked ?? results) : (topicIn(results, type) ?? asked)
  }

  /** What a request says about where to answer: events stay on the topic of events, where others read them, too. */
  addressOf({ profile }: Pick<EventMessage, 'profile'>): string | undefined {
    const { results, replyTo } = this
    return profile === undefined && results.length === 1 ? results[0] : replyTo
  }

  /** The topics of a subscription. What is answered to an address is no part of the log of events. */
  read({ channel, types, reading }: Subscription): string[] {
    const { results, replyTo } = this
    if (channel === 'results')
      return replyTo === undefined || reading.kind === 'replay' ? results : [...new Set([...results, replyTo])]
    return this.ofRequests(types)
  }

  /** The topics of request events. */
  ofRequests(types: readonly string[]): string[] {
    const found = types.map((type) => {
      const topic = this.ofRequest(type)
      if (topic === undefined) throw new GatewayError('ERR_CONFIG', `topics.requests has no topic for ${type}.`)
      return topic
    })
    return [...new Set(found)]
  }

  /** True when it has been found, and keeps what is published there. */
  takes(topic: string, channel: Channel): boolean {
    const facts = this.#facts.get(topic)
    return facts !== undefined && (channel === 'results' || !isCompacted(facts.cleanupPolicy))
  }

  /** How many there are of these topics, as far as they are known. */
  partitionsOf(topics: readonly string[]): number {
    return topics.reduce((sum, topic) => sum + (this.#facts.get(topic)?.partitions ?? 0), 0)
  }

  /** `retention.ms` of a topic, as far as it is known; -1 when it has no limit. */
  retentionMsOf(topic: string): number | undefined {
    return this.#facts.get(topic)?.retentionMs
  }

  /** The largest body for a topic, as far as it is known; of a limit that is small, half is left for the rest. */
  maxBodyBytes(topic: string): number {
    const limit = this.#facts.get(topic)?.maxMessageBytes ?? Number.POSITIVE_INFINITY
    return limit - Math.min(HEADER_BYTES, Math.ceil(limit / 2))
  }

  /** The settings of a topic of requests that the broker denies to say, and which then go unchecked. */
  unknownOf(topic: string): string[] {
    const { maxMessageBytes, cleanupPolicy } = this.#facts.get(topic) ?? {}
    return [
      ...(maxMessageBytes === undefined ? [`max.message.bytes of ${topic}`] : []),
      ...(cleanupPolicy === undefined ? [policyOf(topic)] : []),
    ]
  }

  /** What is known of a topic may be old. */
  forget(topic: string): void {
    this.#facts.delete(topic)
  }

  /**
   * Looks a topic up, for all who ask at the same time at once, unless it has been found already. Undefined also for
   * what no topic can be called, of which brokers do not say that it is not there.
   */
  find(topic: string, client: Pick<KafkaClient, 'describe'>): Promise<TopicFacts | undefined> {
    const known = this.#facts.get(topic)
    if (known !== undefined || !isTopic(topic)) return Promise.resolve(known)
    const asked = this.#asked.get(topic) ?? this.#findAnew(topic, client)
    this.#asked.set(topic, asked)
    return asked
  }

  async #findAnew(topic: string, client: Pick<KafkaClient, 'describe'>): Promise<TopicFacts | undefined> {
    try {
      return (await this.#look([topic], client)).get(topic)
    } finally {
      this.#asked.delete(topic)
    }
  }

  /**
   * Checks that topics exist.
   * @throws GatewayError ERR_CONFIG that names the topic and says what to do.
   */
  async check(
    topics: readonly string[],
    client: Pick<KafkaClient, 'describe'>,
    pause: (ms: number) => Promise<void>,
  ): Promise<void> {
    let missing = topics
    // A topic that was made a moment ago is not known to every broker yet.
    for (let round = 0; round < LOOKS; round += 1) {
      if (round > 0) await pause(LOOK_PAUSE_MS)
      const found = await this.#look(missing, client)
      missing = missing.filter((topic) => !found.has(topic))
      if (missing.length === 0) return
    }
    const text = `Kafka has no topic ${missing.join(', ')}; create it, or correct the option topics of kafka().`
    throw new GatewayError('ERR_CONFIG', text)
  }

  /**
   * Checks that every message stays for its readers. Gives what the broker denies to say.
   * @throws GatewayError ERR_CONFIG
   */
  refuseCompacted(topics: readonly string[], channel: Channel): string[] {
    const policies = topics.map((topic) => [topic, this.#facts.get(topic)?.cleanupPolicy] as const)
    const compacted = policies.filter(([, policy]) => isCompacted(policy)).map(([topic]) => topic)
    if (compacted.length > 0) throw new GatewayError('ERR_CONFIG', compactedText(compacted.join(', '), channel))
    return policies.filter(([, policy]) => policy === undefined).map(([topic]) => policyOf(topic))
  }

  /** What is known of these as the log of a replay. */
  logFacts(topics: readonly string[]): LogAnswer {
    return logFactsOf(new Map(topics.map((topic) => [topic, this.#facts.get(topic) ?? { partitions: 0 }])))
  }

  async #look(topics: readonly string[], client: Pick<KafkaClient, 'describe'>): Promise<Map<string, TopicFacts>> {
    const found = new Map(await client.describe(topics))
    for (const [topic, facts] of found) this.#facts.set(topic, facts)
    return found
  }
}

/** Why nothing that must be read goes to a topic that is compacted, and what to do. */
export function compactedText(topic: string, channel: Channel): string {
  const [lost, otherwise] =
    channel === 'requests'
      ? ['a request could be removed before a worker reads it, as soon as another one has its key', 'send requests to']
      : ['of several results with one key only the last is kept', 'await results on']
  return `The topic ${topic} is compacted: ${lost}. Set cleanup.policy=delete, or ${otherwise} another topic.`
}

function policyOf(topic: string): string {
  return `cleanup.policy of ${topic}`
}

function topicIn(map: TopicMap | undefined, type: string): string | undefined {
  if (typeof map === 'string' || map === undefined) return map
  return Object.hasOwn(map, type) ? map[type] : undefined
}

function valuesOf(map: KafkaTopics['requests']): string[] {
  if (typeof map === 'string') return [map]
  return typeof map === 'object' && map !== null ? [...new Set(Object.values(map))] : []
}

function checkMaps({ requests, results }: KafkaTopics): void {
  const isMap = (map: unknown) => ['string', 'object', 'undefined'].includes(typeof map) && map !== null
  if (!isMap(requests) && typeof requests !== 'function')
    throw configError('topics.requests', requests, 'a topic, a topic for each type, or a function of the type')
  if (!isMap(results)) throw configError('topics.results', results, 'a topic, or a topic for each type')
}

function isTopic(topic: unknown): boolean {
  return typeof topic === 'string' && LEGAL.test(topic) && topic !== '.' && topic !== '..'
}
