import type { Admin, Consumer, Producer } from '@platformatic/kafka'
import { GatewayError } from '../../../core/errors.js'
import { warnOfUnverifiedTls } from '../../../core/tls.js'
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
import { encoded } from '../encoded.js'
import { toProduceError } from './errors.js'
import { Fetcher } from './fetcher.js'
import { Membership } from './group.js'

type Module = typeof import('@platformatic/kafka')

/** The options of `@platformatic/kafka` for every client; what is not named here (`sasl`, `tls`) is passed on as it is. */
export interface PlatformaticOptions {
  readonly bootstrapBrokers: readonly string[]
  /** @default 'respond-async' */
  readonly clientId?: string
  /** How long a member of a group may be silent before its partitions go to others. @default 15000 */
  readonly sessionTimeoutMs?: number
  readonly [option: string]: unknown
}

const TOPIC = 2
const ALL_REPLICAS = -1
const EARLIEST = -2n
const LATEST = -1n
const GROWTH_MS = 5000

/**
 * Uses the package `@platformatic/kafka`, which is imported at the start.
 * @example kafka({ client: platformatic({ bootstrapBrokers: ['localhost:9092'], tls: {} }), topics })
 */
export function platformatic(options: PlatformaticOptions): KafkaClient {
  return new PlatformaticClient(options)
}

class PlatformaticClient implements KafkaClient {
  readonly name = '@platformatic/kafka'
  readonly optionNames = {
    brokers: 'bootstrapBrokers of platformatic()',
    tls: 'tls of platformatic()',
    sasl: 'sasl of platformatic()',
  }
  readonly #options: PlatformaticOptions
  #parts: { module: Module; producer: Producer; admin: Admin; offsets: Consumer } | undefined

  constructor(options: PlatformaticOptions) {
    warnOfUnverifiedTls(options['tls'], 'tls')
    this.#options = options
  }

  async connect(): Promise<void> {
    const module = await load()
    const base = this.#base()
    // Trying again is for those who know whether a record may come twice.
    const producer = new module.Producer({ ...base, retries: 0, autocreateTopics: false })
    const admin = new module.Admin({ ...base, retries: 0, requestTimeout: 2000, connectTimeout: 2000 } as never)
    const offsets = new module.Consumer({ ...base, groupId: 'respond-async', retries: 1, retryDelay: 100 })
    this.#parts = { module, producer, admin, offsets }
    await this.check()
  }

  async close(): Promise<void> {
    const parts = this.#parts
    this.#parts = undefined
    await Promise.all([parts?.producer.close(), parts?.admin.close(), parts?.offsets.close()])
  }

  async check(): Promise<void> {
    await this.#open.admin.metadata({ topics: [], forceUpdate: true })
  }

  async describe(topics: readonly string[]): Promise<Map<string, TopicFacts>> {
    const found = await Promise.all(topics.map(async (topic) => [topic, await this.#describe(topic)] as const))
    return new Map(found.flatMap(([topic, facts]) => (facts === undefined ? [] : [[topic, facts] as const])))
  }

  async offsets(topics: readonly string[], at: 'beginning' | 'end'): Promise<Map<PartitionId, bigint>> {
    const timestamp = at === 'end' ? LATEST : EARLIEST
    const found = await this.#open.offsets.listOffsets({ topics: [...topics], timestamp })
    const entries = [...found].flatMap(([topic, offsets]) =>
      [...offsets.entries()].map(([partition, offset]) => [partitionId(topic, partition), offset] as const),
    )
    return new Map(entries)
  }

  async produce(records: readonly OutgoingRecord[]): Promise<void> {
    const { producer } = this.#open
    try {
      await producer.send({ messages: records.map(toMessage), acks: ALL_REPLICAS })
    } catch (error) {
      throw toProduceError(error)
    }
  }

  async read(request: ReadRequest): Promise<ClientReader> {
    // Not strict, as the fetcher asks for an isolation level of its own.
    const consumer = this.#makeConsumer({ groupId: request.group ?? 'respond-async', retries: 0, strict: false })
    const fetcher = new Fetcher(consumer, request)
    try {
      const source = request.group === undefined ? this.#readAll(request, fetcher) : this.#join(request, fetcher)
      return toReader(fetcher, consumer, await source)
    } catch (error) {
      fetcher.close()
      await consumer.close(true)
      throw error
    }
  }

  get #open() {
    if (this.#parts !== undefined) return this.#parts
    throw new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'The Kafka client is not connected.')
  }

  #base() {
    const { sessionTimeoutMs, clientId = 'respond-async', ...options } = this.#options
    const patience = { requestTimeout: 5000, connectTimeout: 5000, timeout: 5000 }
    return { ...patience, ...options, clientId, bootstrapBrokers: [...options.bootstrapBrokers] }
  }

  #makeConsumer(options: object): Consumer {
    return new this.#open.module.Consumer({ ...this.#base(), ...options } as never)
  }

  async #describe(topic: string): Promise<TopicFacts | undefined> {
    const { admin } = this.#open
    try {
      const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
      const partitions = topics.get(topic)?.partitionsCount
      return partitions === undefined ? undefined : { partitions, ...(await this.#settingsOf(topic)) }
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('Unknown topic')) return undefined
      throw error
    }
  }

  /** Nothing where the right to describe topics' settings is missing. */
  async #settingsOf(topic: string): Promise<Omit<TopicFacts, 'partitions'>> {
    const resources = [{ resourceType: TOPIC, resourceName: topic, configurationKeys: TOPIC_SETTINGS }]
    const described = await this.#open.admin.describeConfigs({ resources } as never).catch(() => [])
    return toSettings((wanted) => described[0]?.configs.find(({ name }) => name === wanted)?.value)
  }

  /** All partitions, without a group; new ones are looked for now and then. */
  async #readAll(request: ReadRequest, fetcher: Fetcher): Promise<Source> {
    const none = async () => new Map<PartitionId, bigint>()
    const assign = async (): Promise<void> => {
      const partitions = [...(await this.offsets(request.topics, 'beginning')).keys()]
      const starts = await request.assigned({ partitions, isLeader: true, committed: none, commit: async () => {} })
      fetcher.assign(partitions, starts)
    }
    await assign()
    const timer = setInterval(() => void assign().catch(() => {}), GROWTH_MS)
    timer.unref()
    return { commit: async () => {}, close: async () => clearInterval(timer) }
  }

  async #join(request: ReadRequest, fetcher: Fetcher): Promise<Source> {
    const membership: Membership = new Membership({
      request,
      group: request.group ?? '',
      sessionTimeoutMs: this.#options.sessionTimeoutMs ?? 15_000,
      makeConsumer: (options) => this.#makeConsumer(options),
      async assigned(partitions, isLeader) {
        const committed = () => membership.committed()
        const commit = (offsets: ReadonlyMap<PartitionId, bigint>) => membership.commit(offsets)
        // What is gone is no longer read while the starts of the new ones are looked up.
        fetcher.assign(partitions, new Map())
        fetcher.assign(partitions, await request.assigned({ partitions, isLeader, committed, commit }))
      },
    })
    try {
      await membership.join()
      return membership
    } catch (error) {
      await membership.close().catch(() => {})
      throw error
    }
  }
}

// Without a list of pairs in between, and without a spread: several of these are made for each request.
function toMessage({ topic, key, value, headers }: OutgoingRecord) {
  const named = new Map<Buffer, Buffer>()
  for (const [name, bytes] of headers) named.set(encoded(name), bytes)
  return key === null ? { topic, value, headers: named } : { topic, key, value, headers: named }
}

/** Where a reader commits, if anywhere. */
type Source = Pick<ClientReader, 'commit' | 'close'>

function toReader(fetcher: Fetcher, consumer: Consumer, source: Source): ClientReader {
  return {
    pause: (id) => fetcher.pause(id),
    resume: (id) => fetcher.resume(id),
    commit: (offsets) => source.commit(offsets),
    async close() {
      fetcher.close()
      await Promise.all([source.close(), consumer.close(true)])
    },
  }
}

async function load(): Promise<Module> {
  try {
    return await import('@platformatic/kafka')
  } catch (cause) {
    const text = 'kafka() needs the package @platformatic/kafka: npm install @platformatic/kafka'
    throw new GatewayError('ERR_CONFIG', `${text} (on Node 20: @platformatic/kafka@1).`, { cause })
  }
}
