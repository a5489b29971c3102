import type { ErrorCode } from './errors.js'
import type { EventMessage } from './event.js'

/** `running` may become any of the others once; those never change. */
export type OperationState = 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired'

/** Why an operation ended without a result event. */
export interface OperationError {
  readonly code: ErrorCode
  readonly message: string
}

/** The latest progress event; older ones are not kept. */
export interface Progress {
  readonly sequence: number
  readonly event: EventMessage
}

/** The record of one request. Records are immutable: a change makes a new one with the next version. */
export interface Operation {
  /** Also the correlation id of all its events. */
  readonly id: string
  /** The type of the request event, which names the command. */
  readonly command: string
  readonly state: OperationState
  /** Grows by one with every change that a client can see. */
  readonly version: number
  readonly principal?: string | undefined
  /** Times are the store's, in milliseconds since the epoch. */
  readonly createdAt: number
  readonly updatedAt: number
  /** When a running operation expires, or an ended one is purged. */
  readonly expiresAt: number
  /** How long an ended operation is kept. */
  readonly retentionMs: number
  /** True once the broker is known to have the request event. */
  readonly published: boolean
  /** The request event, kept while it may have to be published again. */
  readonly request?: EventMessage | undefined
  /** The ordering key of the request event, which outlives it: the event that cancels has the same. */
  readonly key?: string | undefined
  readonly idempotency?: Idempotency | undefined
  readonly progress?: Progress | undefined
  /** The event that ended the operation, as its bytes; every answer is derived from it. */
  readonly result?: EventMessage | undefined
  readonly error?: OperationError | undefined
  /** The first result that came after an end without one. */
  readonly lateResult?: EventMessage | undefined
  /** The first result that contradicts the one that ended the operation. */
  readonly conflictingResult?: EventMessage | undefined
}

/** What the gateway knows of an operation when it creates it; the store adds its own times. */
export interface NewOperation {
  readonly id: string
  readonly command: string
  readonly principal?: string | undefined
  readonly request: EventMessage
  readonly ttlMs: number
  readonly retentionMs: number
  readonly idempotency?: Idempotency | undefined
}

/** What ties repeated requests to one operation. */
export interface Idempotency {
  /** Already scoped by principal and command. */
  readonly key: string
  /** Digest of the input; another one under the same key is another request. */
  readonly fingerprint: string
}

/** How an operation ends: by a result event of a command, or without one. */
export type Ending =
  | { readonly state: 'succeeded' | 'failed'; readonly result: EventMessage; readonly command: string }
  | {
      readonly state: 'failed' | 'canceled' | 'expired'
      readonly error: OperationError
      readonly command?: string
      /**
       * Free the idempotency key in the same write: nothing has happened, so a retry may try again. Stores refuse it as
       * `stale` for an operation that was ever leased, as its request may have been published by then.
       */
      readonly releaseKey?: boolean
      /** Only end the operation when it still has this version (a conditional cancel). */
      readonly ifVersion?: number | undefined
    }

/**
 * What became of an ending: `won` it ended the operation; `same` this very event did so before; `duplicate` another
 * event of the same type did; `conflict` an event of another type did; `late` the operation had ended without a
 * result; `ended` it had ended, and this ending brings no result; `stale` it is not, or no longer, as the ending says;
 * `foreign` the operation belongs to another command.
 */
export type Verdict = 'won' | 'same' | 'duplicate' | 'conflict' | 'late' | 'ended' | 'stale' | 'foreign'

/** The answer of the compare-and-set: who won, and the operation as it stands now. */
export interface Settled {
  readonly verdict: Verdict
  readonly operation: Operation
}

/** True when nothing can change the state any more. */
export function isEnded(operation: Operation): boolean {
  return operation.state !== 'running'
}

/** An operation as it begins; without `keepsRequest` it keeps of its request event only the key. */
export function begin(
  init: Omit<NewOperation, 'request'> & Partial<Pick<NewOperation, 'request'>>,
  now: number,
  keepsRequest = true,
): Operation {
  // Every property is there from the start: copies of objects of one shape are cheap.
  return {
    id: init.id,
    command: init.command,
    state: 'running',
    version: 1,
    principal: init.principal,
    createdAt: now,
    updatedAt: now,
    expiresAt: now + init.ttlMs,
    retentionMs: init.retentionMs,
    published: false,
    request: keepsRequest ? init.request : undefined,
    key: init.request?.key,
    idempotency: init.idempotency,
    progress: undefined,
    result: undefined,
    error: undefined,
    lateResult: undefined,
    conflictingResult: undefined,
  }
}

/**
 * The one rule of how operations end: the first ending wins, later results are kept beside it.
 * Stores apply it atomically; this function is what they must agree with.
 */
export function settle(operation: Operation, ending: Ending, now: number): Settled {
  if (ending.command !== undefined && ending.command !== operation.command) return { verdict: 'foreign', operation }
  if (isEnded(operation))
    return 'result' in ending ? settleAgain(operation, ending.result) : { verdict: 'ended', operation }
  if (!('result' in ending) && ending.ifVersion !== undefined && ending.ifVersion !== operation.version) {
    return { verdict: 'stale', operation }
  }
  return { verdict: 'won', operation: end(operation, ending, now) }
}

function end(operation: Operation, ending: Ending, now: number): Operation {
  const isByResult = 'result' in ending
  const isReleased = !isByResult && ending.releaseKey === true
  // Field by field, as every request comes through here and a spread with overrides costs twenty times as much.
  return {
    id: operation.id,
    command: operation.command,
    state: ending.state,
    version: operation.version + 1,
    principal: operation.principal,
    createdAt: operation.createdAt,
    updatedAt: now,
    expiresAt: now + operation.retentionMs,
    retentionMs: operation.retentionMs,
    // A result proves that the request was published; after any other end it must not be published any more.
    published: operation.published || isByResult,
    request: undefined,
    key: operation.key,
    idempotency: isReleased ? undefined : operation.idempotency,
    progress: operation.progress,
    result: isByResult ? ending.result : undefined,
    error: isByResult ? undefined : ending.error,
    lateResult: undefined,
    conflictingResult: undefined,
  }
}

function settleAgain(operation: Operation, result: EventMessage): Settled {
  const { result: first, lateResult, conflictingResult } = operation
  if ([first, lateResult, conflictingResult].some((known) => known?.id === result.id))
    return { verdict: 'same', operation }
  if (first === undefined) {
    if (lateResult !== undefined) return { verdict: 'duplicate', operation }
    return { verdict: 'late', operation: { ...operation, lateResult: result } }
  }
  if (first.type === result.type) return { verdict: 'duplicate', operation }
  return { verdict: 'conflict', operation: { ...operation, conflictingResult: conflictingResult ?? result } }
}

/** Takes up a progress event; undefined when the operation has ended or a newer one is known. */
export function advance(operation: Operation, event: EventMessage, now: number): Operation | undefined {
  const { progress } = operation
  // Two readers bring each event; where workers do not number theirs, the time tells the older one.
  const isOld = progress !== undefined && (event.id === progress.event.id || event.time < progress.event.time)
  const last = progress?.sequence ?? 0
  const sequence = sequenceOf(event) ?? (isOld ? last : last + 1)
  if (isEnded(operation) || sequence <= last) return undefined
  return { ...operation, version: operation.version + 1, updatedAt: now, progress: { sequence, event } }
}

/** The header in which workers number their progress events, so that older ones can be told. */
export const SEQUENCE_HEADER = 'progress-sequence'

function sequenceOf(event: EventMessage): number | undefined {
  const text = event.headers[SEQUENCE_HEADER]
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
