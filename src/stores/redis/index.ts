import { randomUUID } from 'node:crypto'
import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import type { Ending, NewOperation, Operation, Settled } from '../../core/operation.js'
import { configError, type NumberRule, refuseUnknown, resolveNumbers } from '../../core/options.js'
import type {
  ChangeListener,
  Created,
  Lease,
  LeaseRequest,
  RecordSpace,
  RecordWrite,
  Store,
  StoreUser,
} from '../../core/store.js'
import type { Durability } from '../../core/transport.js'
import { Patience } from '../group-commit.js'
import { Changes } from './changes.js'
import { checkEviction, type Findings, inspect, refuseNumbersAsTexts } from './checks.js'
import { connect, type RedisConnection, refuseDatabase } from './connection.js'
import { toStoreError } from './errors.js'
import { type IoredisClient, IoredisConnection } from './ioredis.js'
import { type NodeRedisClient, NodeRedisConnection } from './node-redis.js'
import { Operations } from './operations.js'
import { RedisRecords } from './records.js'
import { Scripts } from './runner.js'
import { SCRIPTS } from './scripts/index.js'

export type { IoredisClient, IoredisSubscriber } from './ioredis.js'
export type { NodeRedisClient, NodeRedisSubscriber } from './node-redis.js'

/** How a Redis store is made. */
export interface RedisStoreOptions {
  /**
   * A client of ioredis or of node-redis, the package `redis`. One that is not connected yet is connected by the start
   * and ended by the close; a connected one stays its owner's.
   */
  readonly client: IoredisClient | NodeRedisClient
  /** What all keys begin with, and the channel; stores with the same one share their operations. @default 'respond-async:' */
  readonly prefix?: string
  /** How long the start waits for a connection. @default 5000 */
  readonly connectTimeoutMs?: number
  /** How often changes by others are looked for where the client has no second connection. @default 250 */
  readonly pollEveryMs?: number
}

/**
 * Makes a store in Redis, for any number of gateways and processes.
 * @example createGateway({ transport, store: redis({ client: new Redis('redis://127.0.0.1') }) })
 */
export function redis(options: RedisStoreOptions): RedisStore {
  return new ConnectedStore(options)
}

/** A store in Redis. */
export interface RedisStore extends Store {
  /** What the server did not let this user ask at the start, by the commands that it takes. */
  readonly skippedChecks: readonly string[]
  watch(listener: ChangeListener): Promise<() => Promise<void>>
}

const NUMBERS = {
  connectTimeoutMs: [5000, 1, 600_000],
  pollEveryMs: [250, 1, 600_000],
} as const satisfies Record<string, NumberRule>

/** Calls of one kind that run in one script at most. */
const MAX_BATCH = 128

/** How often a check asks for the server's policy of eviction. */
const EVICTION_EVERY_MS = 60_000

class ConnectedStore implements RedisStore {
  readonly name = 'redis'
  readonly #records: RedisRecords
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #connectTimeoutMs: number
  readonly #scripts: Scripts
  readonly #operations: Operations
  readonly #changes: Changes
  readonly #patience = new Patience()
  #findings: Findings = { durability: { class: 'process' }, skipped: [] }
  /** When the server was last seen not to evict. */
  #safeAt = 0
  #users = 0
  #starting: Promise<void> | undefined
  #isOurs = false

  constructor(options: RedisStoreOptions) {
    const { client, prefix, connectTimeoutMs, pollEveryMs } = resolve(options)
    const self = randomUUID()
    this.#prefix = prefix
    this.#connectTimeoutMs = connectTimeoutMs
    this.#connection = connectionOf(client)
    this.#scripts = new Scripts(this.#connection, [prefix, self])
    const shared = { scripts: this.#scripts, maxBatch: MAX_BATCH, patience: this.#patience }
    this.#changes = new Changes({
      ...shared,
      connection: this.#connection,
      prefix,
      self,
      pollEveryMs,
      connectTimeoutMs,
      // Not by `get`, after which the change would be known and not told.
      read: (id) => this.#run(() => this.#operations.get(id)),
    })
    this.#records = new RedisRecords({ ...shared, self, fault: () => this.#fault() })
    this.#operations = new Operations({
      ...shared,
      toArguments: (write) => this.#records.toArguments(write),
      onChange: (id, operation) => this.#changes.notify(id, operation),
    })
  }

  /** What the start has found; before it nothing is promised. */
  get durability(): Durability {
    return this.#findings.durability
  }

  get skippedChecks(): readonly string[] {
    return this.#findings.skipped
  }

  get records(): RecordSpace {
    return this.#records
  }

  async start(user?: StoreUser): Promise<void> {
    this.#users += 1
    this.#patience.add(user)
    this.#starting ??= this.#start()
    try {
      await this.#starting
    } catch (error) {
      // Not below zero, where it was closed before its start has failed.
      this.#users = Math.max(this.#users - 1, 0)
      this.#starting = undefined
      throw error
    }
  }

  async close(): Promise<void> {
    if (this.#users === 0) return
    this.#users -= 1
    if (this.#users > 0) return
    this.#starting = undefined
    this.#patience.reset()
    await this.#changes.close()
    this.#disconnect()
  }

  /** Writes, as a server that takes no writes is of no use; nor is one that has begun to evict. */
  async check(): Promise<void> {
    const fault = this.#fault()
    if (fault !== undefined) throw fault
    try {
      await this.#connection.sendCommand(['SET', `${this.#prefix}check`, '', 'PX', '1000'])
    } catch (error) {
      const found = toStoreError(error)
      // One that is full still ends operations.
      if (found.code !== 'ERR_STORE_FULL') throw found
    }
    if (performance.now() - this.#safeAt < EVICTION_EVERY_MS) return
    await checkEviction(this.#connection)
    this.#safeAt = performance.now()
  }

  async create(operation: NewOperation): Promise<Created> {
    const created = await this.#run(() => this.#operations.create(operation))
    this.#changes.see(created.operation)
    return created
  }

  /** Records whose condition does not hold are left out; the operation ends all the same. */
  complete(id: string, ending: Ending, records: readonly RecordWrite[] = []): Promise<Settled | undefined> {
    return this.#run(() => this.#operations.complete(id, ending, records))
  }

  progress(id: string, event: EventMessage): Promise<Operation | undefined> {
    return this.#run(() => this.#operations.progress(id, event))
  }

  find(key: string): Promise<Operation | undefined> {
    return this.#run(() => this.#operations.find(key))
  }

  async get(id: string): Promise<Operation | undefined> {
    const operation = await this.#run(() => this.#operations.get(id))
    if (operation !== undefined) this.#changes.see(operation)
    return operation
  }

  leaseUnpublished(request: LeaseRequest): Promise<Lease> {
    return this.#run(() => this.#operations.lease(request))
  }

  markPublished(ids: readonly string[], token?: number): Promise<void> {
    return this.#run(() => this.#operations.mark(ids, token))
  }

  sweep(limit: number): Promise<readonly Operation[]> {
    return this.#run(() => this.#operations.sweep(limit))
  }

  /** Operations and records go by themselves; what is left of records are their places in the index. */
  purge(limit: number): Promise<boolean> {
    return this.#run(() => this.#records.purge(limit))
  }

  watch(listener: ChangeListener): Promise<() => Promise<void>> {
    return this.#run(() => this.#changes.watch(listener))
  }

  async #start(): Promise<void> {
    this.#isOurs = await connect(this.#connection, this.#connectTimeoutMs)
    try {
      this.#findings = await inspect(this.#connection)
      this.#safeAt = performance.now()
      refuseDatabase(this.#connection)
      await refuseNumbersAsTexts(this.#connection)
      await Promise.all(SCRIPTS.map((script) => this.#scripts.load(script)))
    } catch (error) {
      this.#disconnect()
      throw toStoreError(error)
    }
  }

  #disconnect(): void {
    if (this.#isOurs) this.#connection.close()
    this.#isOurs = false
  }

  #run<T>(call: () => Promise<T>): Promise<T> {
    const fault = this.#fault()
    return fault === undefined ? call() : Promise.reject(fault)
  }

  /** Why nothing can be done now. At once, as what is sent without a connection would wait for one. */
  #fault(): GatewayError | undefined {
    if (this.#users === 0) return unavailable('The Redis store is not started.')
    if (this.#connection.isReady) return undefined
    return unavailable('There is no connection to Redis.', this.#connection.lastError)
  }
}

function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_STORE_UNAVAILABLE', message, { cause, outcome: 'not-accepted' })
}

function resolve(options: RedisStoreOptions) {
  refuseUnknown(options, ['client', 'prefix', ...Object.keys(NUMBERS)], 'redis()')
  const { client, prefix = 'respond-async:' } = options
  if (typeof prefix !== 'string' || prefix === '') throw configError('prefix', prefix, 'a text that is not empty')
  return { ...resolveNumbers(NUMBERS, { ...options }), client, prefix }
}

/** Tells the two clients apart by what only one of them has. */
function connectionOf(client: IoredisClient | NodeRedisClient): RedisConnection {
  // A URL may hold a password, so that no error shows it.
  if (typeof client !== 'object' || client === null)
    throw unknownClient(typeof client === 'string' ? 'a text' : String(client))
  if ('isCluster' in client && client.isCluster === true) throw unknownClient('a client of a cluster')
  if ('callBuffer' in client) return new IoredisConnection(client)
  if ('isReady' in client && typeof client.sendCommand === 'function') return new NodeRedisConnection(client)
  throw unknownClient('something else')
}

function unknownClient(got: string): GatewayError {
  const text = `redis: client is ${got}; allowed is a client of ioredis (new Redis()) or of the package redis (createClient()).`
  return new GatewayError('ERR_CONFIG', text)
}
