import { ERRORS } from '../../core/errors.js'
import { type Operation, type OperationState, settle } from '../../core/operation.js'
import { decodeError, decodeEvent, decodeHead, encodeError } from '../codec.js'

/** What an operation's row gives. Integers of eight bytes come as floats, which every driver turns into numbers. */
export interface OperationRow {
  readonly id: string
  readonly command: string
  readonly state: OperationState
  readonly version: number
  readonly published: boolean
  /** Whether the idempotency key, which the head keeps, is still its own. */
  readonly has_key: boolean
  readonly created_at: number
  readonly updated_at: number
  readonly expires_at: number
  readonly retention_ms: number
  readonly head: string
  readonly request: string | null
  readonly progress: string | null
  readonly progress_sequence: number | null
  readonly result: string | null
  readonly error: string | null
  readonly late_result: string | null
  readonly conflicting_result: string | null
  /** The server's time when it read the row. */
  readonly at_ms: number
}

const TIMEOUT = { code: 'ERR_RESULT_TIMEOUT', message: ERRORS.ERR_RESULT_TIMEOUT.title } as const

/** How the rows say that an operation has expired. */
export const TIMEOUT_TEXT = encodeError(TIMEOUT)

/** The columns of a row but its request event, which only the relay and a first look need. */
export function columns(alias: string): string {
  const plain = ['id', 'command', 'state', 'version', 'published', 'head', 'progress', 'result', 'error']
  const numbers = ['created_at', 'updated_at', 'expires_at', 'retention_ms', 'progress_sequence']
  const all = [...plain, 'late_result', 'conflicting_result'].map((name) => `${alias}.${name}`)
  const casts = numbers.map((name) => `${alias}.${name}::float8 as ${name}`)
  return [...all, ...casts, `${alias}.idempotency is not null as has_key`].join(', ')
}

/** The operation as it stands at the time of the look: past its time it has expired, and past that it is gone. */
export function toOperation(row: OperationRow): Operation | undefined {
  const stored = toStored(row)
  // The clock of the server may be set back: what was late once has been too late for good.
  const isPast = stored.state === 'running' && (stored.expiresAt <= row.at_ms || stored.lateResult !== undefined)
  const { lateResult } = stored
  const operation = isPast ? { ...expire(stored), lateResult } : stored
  return operation.state === 'running' || operation.expiresAt > row.at_ms ? operation : undefined
}

/** Ends an operation at the time at which it fell due, so that its state does not depend on when somebody looked. */
function expire(operation: Operation): Operation {
  return settle(operation, { state: 'expired', error: TIMEOUT }, operation.expiresAt).operation
}

/** The operation as it is written, whatever the time. */
export function toStored(row: OperationRow): Operation {
  const { principal, key, idempotency } = decodeHead(row.head)
  // Field by field, in the order of `begin`: all operations have one shape, wherever they come from.
  return {
    id: row.id,
    command: row.command,
    state: row.state,
    version: row.version,
    principal,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    expiresAt: row.expires_at,
    retentionMs: row.retention_ms,
    published: row.published,
    request: eventOf(row.request),
    key,
    idempotency: row.has_key ? idempotency : undefined,
    progress: progressOf(row),
    result: eventOf(row.result),
    error: row.error === null ? undefined : decodeError(row.error),
    lateResult: eventOf(row.late_result),
    conflictingResult: eventOf(row.conflicting_result),
  }
}

function progressOf({ progress, progress_sequence: sequence }: OperationRow): Operation['progress'] {
  return progress === null || sequence === null ? undefined : { sequence, event: decodeEvent(progress) }
}

function eventOf(text: string | null | undefined): Operation['request'] {
  return text === null || text === undefined ? undefined : decodeEvent(text)
}
