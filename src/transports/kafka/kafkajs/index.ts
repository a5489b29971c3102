import { configError } from '../../../core/options.js'
import type { OutgoingRecord } from '../../profiles/kafka-wire.js'
import {
  type ClientReader,
  type KafkaClient,
  type PartitionId,
  partitionId,
  type ReadRequest,
  TOPIC_SETTINGS,
  type TopicFacts,
  toSettings,
} from '../client.js'
import { answered } from '../waiting.js'
import { toProduceError } from './errors.js'
import { topicOffsets } from './offsets.js'
import { Producers } from './producers.js'
import { KafkajsReader } from './reader.js'
import type { KafkajsAdmin, KafkajsClient, KafkajsMessage } from './types.js'

export type { KafkajsClient } from './types.js'

/** How kafkajs is used. */
export interface KafkajsOptions {
  /** How long a member of a group may be silent before its partitions go to others. @default 15000 */
  readonly sessionTimeoutMs?: number
}

const TOPIC = 2
const ALL_REPLICAS = -1
const TIMEOUT_MS = 5000
const CHECK_MS = 2000

/**
 * Uses an instance of kafkajs's `Kafka`, with its brokers, TLS and credentials.
 * @example kafka({ client: kafkajs(new Kafka({ brokers: ['localhost:9092'] })), topics })
 */
export function kafkajs(kafka: KafkajsClient, options: KafkajsOptions = {}): KafkaClient {
  const { sessionTimeoutMs = 15_000 } = options
  if (typeof kafka?.producer !== 'function') throw configError('kafkajs()', kafka, 'an instance of Kafka')
  return new KafkajsBinding(kafka, sessionTimeoutMs)
}

class KafkajsBinding implements KafkaClient {
  readonly name = 'kafkajs'
  readonly optionNames = { brokers: 'brokers of new Kafka()', tls: 'ssl of new Kafka()', sasl: 'sasl of new Kafka()' }
  readonly #kafka: KafkajsClient
  readonly #sessionTimeoutMs: number
  #parts: { readonly producers: Producers; readonly admin: KafkajsAdmin } | undefined

  constructor(kafka: KafkajsClient, sessionTimeoutMs: number) {
    this.#kafka = kafka
    this.#sessionTimeoutMs = sessionTimeoutMs
  }

  async connect(): Promise<void> {
    // Trying again is for those who know whether a record may come twice.
    const options = { allowAutoTopicCreation: false, retry: { retries: 0 } }
    const producers = new Producers(() => this.#kafka.producer(options))
    const admin = this.#kafka.admin({ retry: { retries: 2, initialRetryTime: 100 } })
    this.#parts = { producers, admin }
    await Promise.all([producers.connect(), admin.connect()])
  }

  async close(): Promise<void> {
    const parts = this.#parts
    this.#parts = undefined
    await Promise.all([parts?.producers.close(), parts?.admin.disconnect()])
  }

  async check(): Promise<void> {
    await answered(this.#open.admin.describeCluster(), CHECK_MS)
  }

  async describe(topics: readonly string[]): Promise<Map<string, TopicFacts>> {
    const { admin } = this.#open
    const existing = new Set(await admin.listTopics())
    const wanted = topics.filter((topic) => existing.has(topic))
    if (wanted.length === 0) return new Map()
    const described = await admin.fetchTopicMetadata({ topics: wanted })
    const facts = described.topics.map(async ({ name, partitions }) => {
      return [name, { partitions: partitions.length, ...(await this.#settingsOf(name)) }] as const
    })
    return new Map(await Promise.all(facts))
  }

  async offsets(topics: readonly string[], at: 'beginning' | 'end'): Promise<Map<PartitionId, bigint>> {
    const found = new Map<PartitionId, bigint>()
    for (const topic of topics) {
      for (const { partition, high, low } of await topicOffsets(this.#open.admin, topic)) {
        found.set(partitionId(topic, partition), BigInt(at === 'end' ? high : low))
      }
    }
    return found
  }

  async produce(records: readonly OutgoingRecord[]): Promise<void> {
    const byTopic = new Map<string, KafkajsMessage[]>()
    for (const { topic, key, value, headers } of records) {
      const messages = byTopic.get(topic) ?? []
      messages.push({ key, value, headers: toHeaders(headers) })
      byTopic.set(topic, messages)
    }
    const topicMessages = [...byTopic].map(([topic, messages]) => ({ topic, messages }))
    try {
      await this.#open.producers.send({ acks: ALL_REPLICAS, timeout: TIMEOUT_MS, topicMessages })
    } catch (error) {
      throw toProduceError(error)
    }
  }

  async read(request: ReadRequest): Promise<ClientReader> {
    const reader = new KafkajsReader({
      kafka: this.#kafka,
      admin: this.#open.admin,
      request,
      group: request.group ?? request.ownGroup,
      sessionTimeoutMs: this.#sessionTimeoutMs,
    })
    try {
      return await reader.open()
    } catch (error) {
      await reader.close().catch(() => {})
      throw error
    }
  }

  get #open() {
    if (this.#parts !== undefined) return this.#parts
    throw new Error('The client is not connected.')
  }

  /** Nothing where the right to describe topics' settings is missing. */
  async #settingsOf(topic: string): Promise<Omit<TopicFacts, 'partitions'>> {
    const resources = [{ type: TOPIC, name: topic, configNames: TOPIC_SETTINGS }]
    const described = await this.#open.admin
      .describeConfigs({ includeSynonyms: false, resources })
      .catch(() => ({ resources: [] as never[] }))
    const entries = described.resources[0]?.configEntries
    return toSettings((wanted) => entries?.find(({ configName }) => configName === wanted)?.configValue)
  }
}

/** Headers of one name become a list, as kafkajs has it. */
function toHeaders(headers: OutgoingRecord['headers']): KafkajsMessage['headers'] {
  const named: Record<string, Buffer | Buffer[]> = Object.create(null)
  for (const [name, value] of headers) {
    const known = named[name]
    named[name] = known === undefined ? value : [known, value].flat()
  }
  return named
}
