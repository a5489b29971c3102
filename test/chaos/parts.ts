import { Redis } from 'ioredis'
import { Client, Pool } from 'pg'
import type { Store, Transport } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { memoryStore, memoryTransport } from 'respond-async/memory'
import { migrate, postgres } from 'respond-async/postgres'
import { redis } from 'respond-async/redis'
import { faultyStore, faultyTransport } from 'respond-async/testing'
import { type KafkaClient, kafka, platformatic } from '../../src/transports/kafka/index.js'
import type { ProcessConfig } from './config.js'
import type { Manner } from './history.js'

/** Transport and store of a process. */
export interface Parts {
  readonly transport: Transport
  readonly store: Store
  /** What the worker beside the gateway gets, where all is one process. */
  readonly bareTransport: Transport
  /** Makes a part in memory fail, or work again. */
  fail(part: 'broker' | 'store', manner: Manner | undefined): void
}

/** Makes the parts that the configuration names. */
export async function makeParts(config: ProcessConfig): Promise<Parts> {
  const transport = await makeTransport(config)
  const store = await makeStore(config)
  const broker = new Switch()
  const stored = new Switch()
  return {
    bareTransport: transport,
    transport: config.transport === 'memory' ? faultyTransport(transport, broker.plan) : transport,
    store: config.store === 'memory' ? faultyStore(store, stored.plan) : store,
    fail: (part, manner) => (part === 'broker' ? broker : stored).set(manner),
  }
}

/** The transport that the configuration names, for a gateway or a worker. */
export async function makeTransport({ transport, brokerAddress, prefix }: ProcessConfig): Promise<Transport> {
  switch (transport) {
    case 'memory':
      return memoryTransport()
    case 'amqp':
      // A gateway that is killed while the broker is away, and started again, is there as soon as the broker is.
      return amqp({ url: brokerAddress, prefix, waitForBroker: true })
    case 'kafka':
      return kafka({ client: makeKafka(brokerAddress), topics: topicsOf(prefix), groupPrefix: `${prefix}.` })
  }
}

/** With the shortest sessions that brokers allow: who starts waits for those of the members that were killed. */
function makeKafka(address: string): KafkaClient {
  return platformatic({ bootstrapBrokers: [address], sessionTimeoutMs: 6000 })
}

/** Topics are made by those who run the broker; here that is the world. */
export function topicsOf(prefix: string): { readonly requests: string; readonly results: string } {
  return { requests: `${prefix}.requests`, results: `${prefix}.results` }
}

/** The store that the configuration names, for a gateway or a worker. */
export async function makeStore({ store, storeAddress, prefix }: ProcessConfig): Promise<Store> {
  switch (store) {
    case 'memory':
      return memoryStore()
    case 'redis':
      return redis({ client: makeRedis(storeAddress), prefix: `${prefix}:` })
    case 'postgres':
      return makePostgres(storeAddress)
  }
}

function makeRedis(url: string): Redis {
  const client = new Redis(url, { lazyConnect: true })
  // Told by the store as well; unheard, it would end the process.
  client.on('error', () => {})
  return client
}

async function makePostgres(connectionString: string): Promise<Store> {
  const client = new Pool({ connectionString, connectionTimeoutMillis: 1000 })
  client.on('error', () => {})
  await migrate(client)
  return postgres({ client, listen: () => new Client({ connectionString }) })
}

const CALLS = new Set([
  'publish',
  'check',
  'create',
  'complete',
  'get',
  'progress',
  'leaseUnpublished',
  'markPublished',
])

/** Lets a part in memory fail as a real one would. */
class Switch {
  #manner: Manner | undefined
  #whenHealed: (() => void)[] = []

  set(manner: Manner | undefined): void {
    this.#manner = manner
    if (manner === undefined) for (const resolve of this.#whenHealed.splice(0)) resolve()
  }

  /** What is sent over a silent line arrives when it is healed, as TCP would send it again. */
  readonly plan = (call: string) => {
    if (this.#manner === undefined || !CALLS.has(call)) return 'ok' as const
    if (this.#manner === 'refused') return 'fail-before' as const
    return new Promise<unknown>((resolve) => this.#whenHealed.push(() => resolve('ok')))
  }
}
