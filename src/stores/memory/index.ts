import { type Clock, systemClock } from '../../core/clock.js'
import { ERRORS, GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import {
  advance,
  begin,
  type Ending,
  isEnded,
  type NewOperation,
  type Operation,
  type Settled,
  settle,
} from '../../core/operation.js'
import { refuseUnknown } from '../../core/options.js'
import type { ChangeListener, Created, Lease, LeaseRequest, RecordWrite, Store } from '../../core/store.js'
import { type Due, Lane, Lanes } from './lanes.js'
import { MemoryRecords } from './records.js'

/** Limits of a memory store. */
export interface MemoryStoreOptions {
  /** When there are so many, the one that ended first is purged for a new one; running ones stay. @default 100_000 */
  readonly maxOperations?: number
  /** Beyond, writing new records is refused. @default 100_000 */
  readonly maxRecords?: number
  readonly clock?: Clock
}

/** Makes a store for the gateways of one process; what it has stays while it is referenced, also while it is closed. */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  refuseUnknown(options, ['maxOperations', 'maxRecords', 'clock'], 'memoryStore()')
  return new MemoryStore(options)
}

const TIMEOUT = { code: 'ERR_RESULT_TIMEOUT', message: ERRORS.ERR_RESULT_TIMEOUT.title } as const

/** An operation and its places among the others. */
class Row implements Due {
  operation: Operation
  /** Among the running or the ended ones. */
  lane: unknown
  leaseToken = 0
  leasedUntil = 0

  constructor(operation: Operation) {
    this.operation = operation
  }

  get dueAt(): number {
    return this.operation.expiresAt
  }
}

// Every method does all its work before it returns its promise, which makes it atomic: nothing can come in between.
class MemoryStore implements Store {
  readonly name = 'memory'
  readonly durability = { class: 'process' } as const
  readonly records: MemoryRecords
  readonly #clock: Clock
  readonly #maxOperations: number
  readonly #rows = new Map<string, Row>()
  /** Which operation has an idempotency key; an entry lives exactly as long as the row. */
  readonly #idOfKey = new Map<string, string>()
  readonly #running = new Lanes<Row>()
  readonly #ended = new Lanes<Row>()
  /** Running and not known to be published, in the order of creation. */
  readonly #unpublished = new Lane<Row>(isUnpublished)
  /** Expired on sight, and to be reported by the next sweep. */
  readonly #expired = new Set<Row>()
  #listeners: readonly ChangeListener[] = []
  #lastToken = 0
  #users = 0

  constructor({ clock = systemClock, maxOperations = 100_000, maxRecords = 100_000 }: MemoryStoreOptions) {
    for (const [name, value] of Object.entries({ maxOperations, maxRecords })) {
      if (Number.isSafeInteger(value) && value > 0) continue
      throw new GatewayError('ERR_CONFIG', `memoryStore: ${name} must be a whole number from 1 on, not ${value}.`)
    }
    this.#clock = clock
    this.#maxOperations = maxOperations
    this.records = new MemoryRecords({ clock, maxRecords, assertOpen: () => this.#assertOpen() })
  }

  async start(): Promise<void> {
    this.#users += 1
  }

  async close(): Promise<void> {
    this.#users = Math.max(this.#users - 1, 0)
  }

  async check(): Promise<void> {
    this.#assertOpen()
  }

  async create(init: NewOperation): Promise<Created> {
    const now = this.#enter()
    // First the id: when a call is repeated, its key is taken by its own operation.
    const same = this.#find(init.id, now)
    if (same !== undefined) return { created: true, operation: same.operation }
    const key = init.idempotency?.key
    const holder = key === undefined ? undefined : this.#find(this.#idOfKey.get(key) ?? '', now)
    if (holder !== undefined) return { created: false, operation: holder.operation }
    if (this.#rows.size >= this.#maxOperations) this.#makeRoom(now)
    const row = new Row(begin(init, now))
    this.#rows.set(init.id, row)
    this.#running.add(row, ttlOf(row.operation))
    this.#unpublished.add(row)
    if (key !== undefined) this.#idOfKey.set(key, init.id)
    return { created: true, operation: row.operation }
  }

  async find(key: string): Promise<Operation | undefined> {
    return this.#find(this.#idOfKey.get(key) ?? '', this.#enter())?.operation
  }

  /** Records whose condition does not hold are left out; the operation ends all the same. */
  async complete(id: string, ending: Ending, records: readonly RecordWrite[] = []): Promise<Settled | undefined> {
    const now = this.#enter()
    const row = this.#find(id, now)
    if (row === undefined) return undefined
    const isLent = row.leaseToken > 0 && !isEnded(row.operation)
    // Whoever it was lent to may have published it: that nothing has happened is no longer true.
    if (isLent && 'error' in ending && ending.releaseKey) return { verdict: 'stale', operation: row.operation }
    const settled = settle(row.operation, ending, now)
    if (settled.verdict !== 'won') {
      row.operation = settled.operation
      return settled
    }
    // Before anything is written, as it may throw.
    if (records.length > 0) this.records.reserve(records)
    for (const record of records) this.records.write(record)
    this.#end(row, settled.operation)
    return settled
  }

  async progress(id: string, event: EventMessage): Promise<Operation | undefined> {
    const now = this.#enter()
    const row = this.#find(id, now)
    const operation = row === undefined ? undefined : advance(row.operation, event, now)
    if (row === undefined || operation === undefined) return undefined
    row.operation = operation
    this.#notify(operation)
    return operation
  }

  async get(id: string): Promise<Operation | undefined> {
    return this.#find(id, this.#enter())?.operation
  }

  async leaseUnpublished({ olderThanMs, leaseMs, limit }: LeaseRequest): Promise<Lease> {
    const now = this.#enter()
    this.#lastToken += 1
    const operations: Operation[] = []
    const heldKeys = new Set<string | undefined>()
    for (const row of this.#unpublished) {
      const { createdAt, request } = row.operation
      if (operations.length >= limit || createdAt > now - olderThanMs) break
      // Past its time it must not be published any more, even before a sweep has noticed.
      if (row.dueAt <= now || (request?.key !== undefined && heldKeys.has(request.key))) continue
      if (row.leasedUntil > now) {
        heldKeys.add(request?.key)
        continue
      }
      row.leasedUntil = now + leaseMs
      row.leaseToken = this.#lastToken
      operations.push(row.operation)
    }
    return { token: this.#lastToken, operations }
  }

  async markPublished(ids: readonly string[], token?: number): Promise<void> {
    const now = this.#enter()
    for (const id of ids) {
      const row = this.#rows.get(id)
      if (row === undefined || !isUnpublished(row) || (token !== undefined && token !== row.leaseToken)) continue
      // What is past its time has expired, whether anybody has seen it or not: a mark comes too late.
      if (row.operation.expiresAt <= now) continue
      row.operation = { ...row.operation, published: true, request: undefined }
      this.#unpublished.countOut()
    }
  }

  async sweep(limit: number): Promise<readonly Operation[]> {
    const now = this.#enter()
    repeat(limit, () => this.#expire(this.#running.due(now)))
    const expired: Operation[] = []
    for (const row of this.#expired) {
      if (expired.length >= limit) break
      expired.push(row.operation)
      this.#expired.delete(row)
    }
    return expired
  }

  async purge(limit: number): Promise<boolean> {
    const now = this.#enter()
    const isMore = repeat(limit, () => {
      const row = this.#ended.due(now)
      // What has outlived its retention unseen is reported first.
      return row !== undefined && !this.#expired.has(row) && this.#purge(row)
    })
    return this.records.purge(limit) || isMore
  }

  async watch(listener: ChangeListener): Promise<() => Promise<void>> {
    this.#enter()
    // Its own function, so that a listener may watch twice, and end each watch by itself.
    const entry: ChangeListener = (id, operation) => listener(id, operation)
    this.#listeners = [...this.#listeners, entry]
    return async () => {
      this.#listeners = this.#listeners.filter((other) => other !== entry)
    }
  }

  #assertOpen(): void {
    if (this.#users > 0) return
    throw new GatewayError('ERR_STORE_UNAVAILABLE', 'The memory store is not started.', { outcome: 'not-accepted' })
  }

  #enter(): number {
    this.#assertOpen()
    return this.#clock.now()
  }

  /** The row as it stands at this time, whether swept or not. */
  #find(id: string, now: number): Row | undefined {
    const row = this.#rows.get(id)
    if (row === undefined || row.dueAt > now) return row
    if (!isEnded(row.operation)) this.#expire(row)
    if (row.dueAt > now) return row
    this.#purge(row)
    return undefined
  }

  /** Purges the operation that ended first; one that should have expired by now may be that. */
  #makeRoom(now: number): void {
    this.#expire(this.#running.due(now))
    if (this.#purge(this.#ended.oldest())) return
    const message = `All of the ${this.#rows.size} operations in the store are running.`
    throw new GatewayError('ERR_STORE_FULL', message, { outcome: 'not-accepted' })
  }

  /** Ends a row at the time at which it fell due, so that its state does not depend on when somebody looked. */
  #expire(row: Row | undefined): boolean {
    if (row === undefined) return false
    const ending = { state: 'expired', error: TIMEOUT } as const
    this.#expired.add(row)
    this.#end(row, settle(row.operation, ending, row.dueAt).operation)
    return true
  }

  /** Moves a row from the running to the ended ones. */
  #end(row: Row, operation: Operation): void {
    this.#running.remove(row, ttlOf(row.operation))
    this.#ended.add(row, operation.retentionMs)
    if (operation.idempotency === undefined) this.#freeKey(row.operation)
    const wasUnpublished = isUnpublished(row)
    row.operation = operation
    if (wasUnpublished) this.#unpublished.countOut()
    this.#notify(operation)
  }

  /** Forgets a row and everything that leads to it. */
  #purge(row: Row | undefined): boolean {
    if (row === undefined) return false
    this.#ended.remove(row, row.operation.retentionMs)
    this.#rows.delete(row.operation.id)
    this.#expired.delete(row)
    this.#freeKey(row.operation)
    return true
  }

  #freeKey({ id, idempotency }: Operation): void {
    if (idempotency !== undefined && this.#idOfKey.get(idempotency.key) === id) this.#idOfKey.delete(idempotency.key)
  }

  #notify(operation: Operation): void {
    for (const listener of this.#listeners) {
      try {
        listener(operation.id, operation)
      } catch {
        // A listener's trouble is its own.
      }
    }
  }
}

function ttlOf({ createdAt, expiresAt }: Operation): number {
  return expiresAt - createdAt
}

function isUnpublished({ operation }: Row): boolean {
  return operation.state === 'running' && !operation.published
}

/** Calls at most `limit` times, until it is told that there is nothing left; true when it was not. */
function repeat(limit: number, step: () => boolean): boolean {
  for (let count = 0; count < limit; count += 1) if (!step()) return false
  return true
}
