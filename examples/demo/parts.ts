import { createHash } from 'node:crypto'
import { memoryStore, memoryTransport, type Store, type Transport } from 'respond-async'
import type { Settings, StoreName, TransportName } from './settings.js'

/** What a process of the demo works with. */
export interface Parts {
  readonly transport: Transport
  readonly store: Store
  /** Ends what was opened around them. */
  close(): Promise<void>
}

type Env = NodeJS.ProcessEnv
type Opened<T> = { readonly part: T; readonly close?: () => Promise<unknown> }

// Only the chosen client is loaded.
const TRANSPORTS: Readonly<Record<TransportName, (prefix: string, env: Env) => Promise<Opened<Transport>>>> = {
  memory: async () => ({ part: memoryTransport() }),
  amqp: async (prefix, env) => {
    const { amqp } = await import('respond-async/amqp')
    // Kept in a stream, from which each gateway makes its copy of the users.
    return { part: amqp({ url: env.AMQP_URL || 'amqp://guest:guest@127.0.0.1:5672', prefix, replay: true }) }
  },
  kafka: async (prefix, env) => {
    const [{ kafka }, { createTopics }] = await Promise.all([
      import('respond-async/kafka'),
      import('./kafka-topics.js'),
    ])
    const brokers = (env.KAFKA_BROKERS || '127.0.0.1:9092').split(',')
    const topics = { requests: `${prefix}.requests`, results: `${prefix}.results` }
    const part = kafka({ brokers, topics, groupPrefix: `${prefix}.` })
    await createTopics(brokers, Object.values(topics))
    return { part }
  },
}

const STORES: Readonly<Record<StoreName, (prefix: string, env: Env) => Promise<Opened<Store>>>> = {
  memory: async () => ({ part: memoryStore() }),
  redis: async (prefix, env) => {
    const [{ redis }, { Redis }] = await Promise.all([import('respond-async/redis'), import('ioredis')])
    const client = new Redis(env.REDIS_URL || 'redis://127.0.0.1:6379', { lazyConnect: true })
    return { part: redis({ client, prefix: `${prefix}:` }) }
  },
  postgres: async (prefix, env) => {
    const [{ migrate, postgres }, { default: pg }] = await Promise.all([import('respond-async/postgres'), import('pg')])
    const connectionString = env.DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres'
    // What is never answered, as on a line that went dead, gives its connection back in the end.
    const pool = new pg.Pool({ connectionString, max: 5, connectionTimeoutMillis: 1000, query_timeout: 3000 })
    const names = { prefix: `${tableName(prefix)}_` }
    await migrate(pool, names)
    const part = postgres({ client: pool, listen: () => new pg.Client({ connectionString }), ...names })
    return { part, close: () => pool.end() }
  },
}

const LONGEST_NAME = 20

/** Tables have plain names: what is none is made one, with a digest, so that no two prefixes meet. */
export function tableName(prefix: string): string {
  const plain = prefix.toLowerCase().replace(/[^a-z0-9]/g, '_')
  if (plain === prefix && plain.length <= LONGEST_NAME) return plain
  return `${plain.slice(0, LONGEST_NAME)}_${createHash('sha256').update(prefix).digest('hex').slice(0, 6)}`
}

/** Makes transport and store, the one place where they are chosen. */
export async function openParts({ transport, store, prefix }: Settings, env: Env = process.env): Promise<Parts> {
  const [broker, keeper] = await Promise.all([TRANSPORTS[transport](prefix, env), STORES[store](prefix, env)])
  return {
    transport: broker.part,
    store: keeper.part,
    close: async () => void (await Promise.all([broker.close?.(), keeper.close?.()])),
  }
}

const VARIABLES = {
  memory: [],
  amqp: ['AMQP_URL'],
  kafka: ['KAFKA_BROKERS'],
  redis: ['REDIS_URL'],
  postgres: ['DATABASE_URL'],
}

/** The variables that say where the chosen servers are. */
export function variablesOf({ transport, store }: Settings): string[] {
  return [...VARIABLES[transport], ...VARIABLES[store]]
}
