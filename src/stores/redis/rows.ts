import { ERRORS } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { isEnded, type Operation, type OperationState, settle } from '../../core/operation.js'
import { decodeError, decodeEvent } from '../codec.js'

/** Why an operation ends that has had its time. */
export const TIMEOUT = { code: 'ERR_RESULT_TIMEOUT', message: ERRORS.ERR_RESULT_TIMEOUT.title } as const

/** What a script shows of an operation: the first of the fields that it reads, in their order. */
export type Row = readonly (string | null)[]

/** Texts that may be absent: an empty argument is none. */
export function optional(text: string | undefined): string {
  return text === undefined ? '' : `+${text}`
}

function present(text: string | null | undefined): string | undefined {
  return text == null ? undefined : text.slice(1)
}

function eventOf(text: string | null | undefined): EventMessage | undefined {
  return text == null ? undefined : decodeEvent(text)
}

/** The operation that a script has read. */
export function toOperation(id: string, row: Row): Operation {
  const [command, state, version, createdAt, updatedAt, expiresAt, retentionMs, published, ...rest] = row
  const [principal, key, idempotencyKey, fingerprint, sequence, progress, result, error, late, conflicting, request] =
    rest
  const idempotency =
    idempotencyKey == null ? undefined : { key: idempotencyKey.slice(1), fingerprint: present(fingerprint) ?? '' }
  // Every property is there, as in `begin`: copies of objects of one shape are cheap.
  return {
    id,
    command: command ?? '',
    state: state as OperationState,
    version: Number(version),
    principal: present(principal),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
    expiresAt: Number(expiresAt),
    retentionMs: Number(retentionMs),
    published: published === '1',
    request: eventOf(request),
    key: present(key),
    idempotency,
    progress: progress == null ? undefined : { sequence: Number(sequence), event: decodeEvent(progress) },
    result: eventOf(result),
    error: error == null ? undefined : decodeError(error),
    lateResult: eventOf(late),
    conflictingResult: eventOf(conflicting),
  }
}

/** The operation as it stands at a time, whether a sweep has been there or not: expired, or no longer kept. */
export function atTime(operation: Operation, now: number): Operation | undefined {
  if (operation.expiresAt > now) return operation
  if (isEnded(operation)) return undefined
  const expired = settle(operation, { state: 'expired', error: TIMEOUT }, operation.expiresAt).operation
  return expired.expiresAt > now ? expired : undefined
}
