import type { EventMessage } from './event.js'
import type { Ending, NewOperation, Operation, Settled } from './operation.js'
import type { Durability } from './transport.js'

/** `created` is false when the idempotency key belongs to another operation, which is then given. */
export interface Created {
  readonly created: boolean
  readonly operation: Operation
}

/** Running operations whose request event may not have reached the broker, lent to one relay for a time. */
export interface Lease {
  /** Grows with every lease: marks under an older token are ignored, so that a paused relay cannot undo a newer one. */
  readonly token: number
  /** Oldest first. */
  readonly operations: readonly Operation[]
}

/** Which operations a relay wants, and for how long. */
export interface LeaseRequest {
  readonly olderThanMs: number
  readonly leaseMs: number
  readonly limit: number
}

/** A small record with a version, for modules that keep their own state beside the operations. */
export interface StoredRecord {
  readonly key: string
  readonly value: Uint8Array
  readonly version: number
}

/** A conditional write. `ifVersion` 0 means that the record must not exist; without it the write is unconditional. */
export interface RecordWrite {
  readonly key: string
  readonly value: Uint8Array
  readonly ifVersion?: number | undefined
  readonly ttlMs?: number | undefined
}

/** The versioned record space: worker dedupe, snapshots, unique names. */
export interface RecordSpace {
  get(key: string): Promise<StoredRecord | undefined>
  /** The new version, or undefined when the condition does not hold. */
  put(write: RecordWrite): Promise<number | undefined>
  /** False when the record was not there, or has another version. */
  delete(key: string, ifVersion?: number): Promise<boolean>
  /** Records whose keys start with the prefix, in key order, behind `after`. */
  list(prefix: string, page?: { readonly after?: string; readonly limit?: number }): Promise<readonly StoredRecord[]>
}

/** Hears of operations that changed; the operation is given where the store has it at hand. */
export type ChangeListener = (id: string, operation?: Operation) => void

/** What a store is told by who starts it. */
export interface StoreUser {
  /** How long this user waits for a call: what takes longer than all of them wait is of use to nobody. */
  readonly callTimeoutMs?: number
}

/** The seam to persistence. Every method that changes something is atomic and safe to call again. */
export interface Store {
  readonly name: string
  readonly durability: Durability
  /** What it wanted to check since its start, and the server does not let this user ask. */
  readonly skippedChecks?: readonly string[] | undefined
  readonly records: RecordSpace
  /** May be called by several users of one store; the first call connects. */
  start(user?: StoreUser): Promise<void>
  /** Called once by each user that started it: the last call ends what this store opened, more do nothing. */
  close(): Promise<void>
  /**
   * Creates the operation unless its idempotency key is taken. The same id again is the same call again.
   * @throws GatewayError ERR_STORE_FULL when only running operations are left to make room.
   */
  create(operation: NewOperation): Promise<Created>
  /** The operation that has an idempotency key; undefined while the key is free. */
  find(key: string): Promise<Operation | undefined>
  /**
   * Compare-and-set by the rule of `settle`; undefined for unknown ids. `records` are written only by the winner. An
   * ending with `releaseKey` is `stale` once the operation has been leased, whether published or not.
   */
  complete(id: string, ending: Ending, records?: readonly RecordWrite[]): Promise<Settled | undefined>
  /** Takes up a progress event; undefined when nothing changed. */
  progress(id: string, event: EventMessage): Promise<Operation | undefined>
  /** Operations past their time are shown as expired, or not at all, whether swept or not. */
  get(id: string): Promise<Operation | undefined>
  /** While one is lent, younger ones with the same key of their request events are not: they would overtake it. */
  leaseUnpublished(request: LeaseRequest): Promise<Lease>
  /**
   * Notes that the broker has the request events; without a token, for events that this caller published itself. A mark
   * under an older token, or past an operation's time, changes nothing.
   */
  markPublished(ids: readonly string[], token?: number): Promise<void>
  /** Ends at most `limit` operations past their time, and returns them. */
  sweep(limit: number): Promise<readonly Operation[]>
  /**
   * Drops at most `limit` operations whose retention is over and were reported by a sweep if they expired, and as many
   * records past their time; true when there may be more.
   */
  purge(limit: number): Promise<boolean>
  /** Calls back for every change by whichever instance, where the store can. Resolves to the end of it. */
  watch?(listener: ChangeListener): Promise<() => Promise<void>>
  /**
   * Rejects while the store cannot be reached. Asked once a second: a rejection with ERR_STORE_UNAVAILABLE, but not with
   * `outcome: 'unknown'`, makes a gateway unready at once, until a later one resolves.
   */
  check(): Promise<void>
}
