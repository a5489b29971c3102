import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { createId } from '../../core/ids.js'
import { within } from '../../core/in-time.js'
import { advance, type Ending, type NewOperation, type Operation, type Settled } from '../../core/operation.js'
import { checkFunction, refuseUnknown } from '../../core/options.js'
import type { ChangeListener, Created, Lease, LeaseRequest, RecordWrite, Store, StoreUser } from '../../core/store.js'
import type { Durability } from '../../core/transport.js'
import { bytesOfEnding } from '../codec.js'
import { GroupCommit, Patience } from '../group-commit.js'
import { Watchers } from '../watchers.js'
import { type Advance, Advances } from './advances.js'
import { createDatabase, type Database, isDataError, type PostgresClient, tolerateIdleErrors } from './client.js'
import { Creates } from './creates.js'
import { type EndingAnswer, type EndingCall, Endings } from './endings.js'
import { type ListenConnection, Listening } from './listening.js'
import { type Names, namesOf, type SchemaOptions } from './names.js'
import { Outbox } from './outbox.js'
import { Reads } from './reads.js'
import { PostgresRecords } from './records.js'
import { inspect } from './server.js'
import { explainStart } from './starting.js'

/** What the store is made with. */
export interface PostgresStoreOptions extends SchemaOptions {
  /** A `pg.Pool` or a PGlite; it stays the caller's, who ends it. */
  readonly client: PostgresClient
  /**
   * Makes a connection of its own for LISTEN, by which changes of other instances are heard of at once. PGlite needs
   * none. Without it they are asked for.
   * @example () => new pg.Client({ connectionString })
   */
  readonly listen?: () => ListenConnection
  /** How often changes are asked for where nobody listens. @default 500 */
  readonly pollMs?: number
  /** How long the start waits for the database, and each attempt of `listen` to connect. @default 5000 */
  readonly connectTimeoutMs?: number
  /** The most calls of one kind that share a statement. @default 500 */
  readonly maxBatch?: number
  /** The most statements of one kind, such as creates, on their way at a time; each takes a connection. @default 2 */
  readonly inFlight?: number
}

/** Makes a store in a PostgreSQL database whose tables `migrate` has created. */
export function postgres(options: PostgresStoreOptions): Store {
  return new PostgresStore(options)
}

const CONNECT_TIMEOUT_MS = 5000
const OPTIONS = ['client', 'listen', 'connectTimeoutMs', 'schema', 'prefix', 'pollMs', 'maxBatch', 'inFlight']

/** As often as this, progress finds that somebody else was faster. */
const ROUNDS = 100

class PostgresStore implements Store {
  readonly name = 'postgres'
  readonly records: PostgresRecords
  readonly #options: PostgresStoreOptions
  readonly #names: Names
  readonly #db: Database
  readonly #creates: GroupCommit<NewOperation, Created>
  readonly #findByKey: (key: string) => Promise<Operation | undefined>
  readonly #endings: GroupCommit<EndingCall, EndingAnswer>
  readonly #reads: GroupCommit<string, Operation | undefined>
  readonly #advances: GroupCommit<Advance, Operation | undefined>
  readonly #patience = new Patience()
  readonly #outbox: Outbox
  readonly #watchers: Watchers
  /** Tells the announcements of this store from those of others. */
  readonly #sender = createId(Date.now())
  #durability: Durability = { class: 'durable' }
  #listening: Promise<Listening> | undefined
  #opening: Promise<() => void> | undefined
  #isOpen = false
  #users = 0

  constructor(options: PostgresStoreOptions) {
    refuseUnknown(options, OPTIONS, 'postgres()')
    if (typeof options.client?.query !== 'function')
      throw new GatewayError('ERR_CONFIG', 'postgres: client must have a query method, as pg.Pool and PGlite have.')
    for (const name of ['maxBatch', 'inFlight', 'pollMs', 'connectTimeoutMs'] as const) {
      const value = options[name]
      if (value === undefined || (Number.isInteger(value) && value > 0 && value < 2 ** 31)) continue
      throw new GatewayError(
        'ERR_CONFIG',
        `postgres: ${name} must be a whole number from 1 to 2147483647, not ${value}.`,
      )
    }
    checkFunction('listen', options.listen, 'a function that makes a connection, such as () => new pg.Client(…)')
    this.#options = options
    this.#names = namesOf(options)
    this.#db = createDatabase(options.client, () => this.#assertOpen())
    const creates = new Creates(this.#db, this.#names)
    const endings = new Endings(this.#db, this.#names, this.#sender)
    const { maxBatch = 500, inFlight = 2 } = options
    const group = { maxBatch, inFlight, isDataError, patience: this.#patience }
    this.#creates = new GroupCommit({
      ...group,
      flush: (operations) => creates.flush(operations),
      bytesOf: ({ request }) => request.body.byteLength,
    })
    this.#findByKey = (key) => creates.find(key)
    this.#endings = new GroupCommit({
      ...group,
      flush: (calls) => endings.flush(calls),
      bytesOf: (call) => bytesOfEnding(call),
    })
    const reads = new Reads(this.#db, this.#names)
    this.#reads = new GroupCommit({ ...group, flush: (ids) => reads.flush(ids) })
    const advances = new Advances(this.#db, this.#names, this.#sender)
    this.#advances = new GroupCommit({
      ...group,
      flush: (calls) => advances.flush(calls),
      bytesOf: ({ event }) => event.body.byteLength,
    })
    this.#outbox = new Outbox(this.#db, this.#names, this.#sender)
    this.#watchers = new Watchers((ids) => reads.states(ids))
    this.records = new PostgresRecords(this.#db, this.#names, group)
  }

  get durability(): Durability {
    return this.#durability
  }

  async start(user?: StoreUser): Promise<void> {
    this.#users += 1
    this.#patience.add(user)
    this.#opening ??= this.#open()
    try {
      await this.#opening
    } catch (error) {
      // Not below zero, where it was closed before its start has failed.
      this.#users = Math.max(this.#users - 1, 0)
      this.#opening = undefined
      throw error
    }
  }

  async close(): Promise<void> {
    if (this.#users === 0) return
    this.#users -= 1
    if (this.#users > 0) return
    this.#isOpen = false
    this.#patience.reset()
    const [opening, listening] = [this.#opening, this.#listening]
    this.#opening = undefined
    this.#listening = undefined
    try {
      // One that has failed has told its watcher.
      await listening?.then(
        (open) => open.close(),
        () => {},
      )
    } finally {
      const release = await opening
      release?.()
    }
  }

  /** Rejects also while the server is a standby, which takes no writes. */
  async check(): Promise<void> {
    const [row] = await this.#db.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
    if (row?.standby === true) throw unavailable('The database is a standby.')
  }

  async create(operation: NewOperation): Promise<Created> {
    const created = await this.#creates.run(operation)
    this.#watchers.see(created.operation)
    return created
  }

  async find(key: string): Promise<Operation | undefined> {
    return this.#findByKey(key)
  }

  async complete(id: string, ending: Ending, records: readonly RecordWrite[] = []): Promise<Settled | undefined> {
    const copies = records.map((write) => ({ ...write, value: new Uint8Array(write.value) }))
    const settled = await this.#endings.run({ id, ending, records: copies })
    if (settled?.verdict === 'won') this.#watchers.tell(id, settled.operation)
    return settled
  }

  async progress(id: string, event: EventMessage): Promise<Operation | undefined> {
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await this.#reads.run(id)
      // Only the sequence is taken from it: the time is the server's.
      const next = before && advance(before, event, before.updatedAt)
      if (before === undefined || next?.progress === undefined) return undefined
      const { sequence } = next.progress
      const operation = await this.#advances.run({ id, version: before.version, event, sequence })
      if (operation === undefined) continue
      this.#watchers.tell(id, operation)
      return operation
    }
    throw unavailable(`The operation ${id} changed ${ROUNDS} times meanwhile.`)
  }

  async get(id: string): Promise<Operation | undefined> {
    const operation = await this.#reads.run(id)
    if (operation !== undefined) this.#watchers.see(operation)
    return operation
  }

  leaseUnpublished(request: LeaseRequest): Promise<Lease> {
    return this.#outbox.lease(request)
  }

  markPublished(ids: readonly string[], token?: number): Promise<void> {
    return this.#outbox.markPublished(ids, token)
  }

  async sweep(limit: number): Promise<readonly Operation[]> {
    const expired = await this.#outbox.sweep(limit)
    for (const operation of expired) this.#watchers.tell(operation.id, operation)
    return expired
  }

  purge(limit: number): Promise<boolean> {
    return this.#outbox.purge(limit)
  }

  async watch(listener: ChangeListener): Promise<() => Promise<void>> {
    this.#assertOpen()
    const stop = this.#watchers.add(listener)
    this.#listening ??= this.#listen()
    const listening = this.#listening
    try {
      await listening
    } catch (error) {
      stop()
      if (this.#listening === listening) this.#listening = undefined
      throw error
    }
    return async () => stop()
  }

  async #listen(): Promise<Listening> {
    const { client, listen, pollMs = 500, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options
    const listening = new Listening({
      client,
      connect: listen,
      channel: this.#names.channel,
      pollMs,
      connectTimeoutMs,
      onPayload: (payload) => this.#heard(payload),
      onGap: () => this.#watchers.ask(),
    })
    await listening.start()
    return listening
  }

  /** An announcement: who sent it, a space, and ids as JSON. What this store did itself it has told already. */
  #heard(payload: string): void {
    const space = payload.indexOf(' ')
    if (payload.slice(0, space) === this.#sender) return
    try {
      for (const id of JSON.parse(payload.slice(space + 1)) as unknown[]) this.#watchers.tell(String(id))
    } catch {
      // Anybody who may use the database can send anything on the channel.
    }
  }

  async #open(): Promise<() => void> {
    const { client, connectTimeoutMs: ms = CONNECT_TIMEOUT_MS } = this.#options
    const release = tolerateIdleErrors(client)
    const hint = 'a pool connects by itself, a single client must be connected'
    const late = () => new Error(`the server has not answered within ${ms} ms (${hint})`)
    try {
      this.#durability = await within(inspect(createDatabase(client), this.#names), { ms, late })
    } catch (error) {
      release()
      throw explainStart(error)
    }
    this.#isOpen = true
    return release
  }

  #assertOpen(): void {
    if (!this.#isOpen) throw unavailable('The postgres store is not started.')
  }
}

function unavailable(message: string): GatewayError {
  return new GatewayError('ERR_STORE_UNAVAILABLE', message, { outcome: 'not-accepted' })
}
