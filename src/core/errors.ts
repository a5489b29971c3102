/**
 * Every code this package reports, with the sentence that is the same for all its occurrences and whether the same
 * call may succeed later. `http/problem` adds the status; `docs/errors.md` explains each one.
 */
export const ERRORS = {
  ERR_CONFIG: { title: 'The configuration is not valid', retryable: false },
  ERR_NOT_STARTED: { title: 'The gateway has not been started', retryable: true },
  ERR_CLOSED: { title: 'The gateway is shutting down', retryable: true },
  ERR_OVERLOADED: { title: 'The gateway is at its limit', retryable: true },
  ERR_TOO_MANY_REQUESTS: { title: 'Too many operations are running for this caller or command', retryable: true },
  ERR_TRANSPORT_UNAVAILABLE: { title: 'The message broker cannot be reached', retryable: true },
  ERR_STORE_UNAVAILABLE: { title: 'The operation store cannot be reached', retryable: true },
  ERR_STORE_FULL: { title: 'The operation store is full of running operations', retryable: true },
  ERR_PUBLISH_REJECTED: { title: 'The message broker did not take the request', retryable: true },
  ERR_PUBLISH_UNCONFIRMED: { title: 'It is not known whether the message broker took the request', retryable: true },
  ERR_RESULT_TIMEOUT: { title: 'No result came in time', retryable: true },
  ERR_MALFORMED_RESULT: { title: 'The result cannot be used', retryable: false },
  ERR_UNEXPECTED_RESULT: { title: 'A result event has a type that its command does not declare', retryable: false },
  ERR_WORKER_FAILED: { title: 'The request could not be carried out', retryable: false },
  ERR_MAPPER: { title: 'The result could not be turned into an answer', retryable: false },
  ERR_HOOK: { title: 'The request could not be prepared', retryable: false },
  ERR_UNKNOWN_COMMAND: { title: 'This instance does not know the command of the operation', retryable: false },
  ERR_OPERATION_NOT_FOUND: { title: 'There is no such operation', retryable: false },
  ERR_OPERATION_GONE: { title: 'The operation is no longer kept', retryable: false },
  ERR_OPERATION_CANCELED: { title: 'The operation was canceled', retryable: false },
  ERR_OPERATION_FINISHED: { title: 'The operation has already ended', retryable: false },
  ERR_IDEMPOTENCY_KEY_MISSING: { title: 'An Idempotency-Key is required', retryable: false },
  ERR_IDEMPOTENCY_KEY_INVALID: { title: 'The Idempotency-Key is not valid', retryable: false },
  ERR_IDEMPOTENCY_MISMATCH: { title: 'The Idempotency-Key was used for another request', retryable: false },
  ERR_IDEMPOTENCY_IN_USE: { title: 'A request with this Idempotency-Key is in progress', retryable: true },
  ERR_INVALID_INPUT: { title: 'The request is not valid', retryable: false },
  ERR_NOT_CREATED_YET: { title: 'This is still being created', retryable: true },
  ERR_NOT_CAUGHT_UP: { title: 'The read model has not caught up', retryable: true },
  ERR_NOT_REBUILDABLE: { title: 'The read model cannot be rebuilt', retryable: false },
  ERR_MALFORMED_BODY: { title: 'The request body cannot be parsed', retryable: false },
  ERR_UNSUPPORTED_MEDIA_TYPE: { title: 'The media type of the request is not supported', retryable: false },
  ERR_BODY_TOO_LARGE: { title: 'The request body is too large', retryable: false },
  ERR_NOT_FOUND: { title: 'There is nothing here', retryable: false },
  ERR_METHOD_NOT_ALLOWED: { title: 'The method is not allowed here', retryable: false },
  ERR_NOT_ACCEPTABLE: { title: 'None of the available media types is acceptable', retryable: false },
  ERR_PRECONDITION_FAILED: { title: 'The precondition is not fulfilled', retryable: false },
  ERR_INTERNAL: { title: 'Something went wrong inside the gateway', retryable: false },
} as const

/** What callers switch on. */
export type ErrorCode = keyof typeof ERRORS

/** Where in the input a rule was broken; `path` holds the keys from the root. */
export interface Issue {
  readonly message: string
  readonly path: readonly (string | number)[]
}

/** What an error may carry beside its code and text. */
export interface ErrorDetails {
  readonly cause?: unknown
  readonly issues?: readonly Issue[]
  readonly operationId?: string
  /** For errors that a service answers with 503: whether the request was carried out, as far as is known. */
  readonly outcome?: 'not-accepted' | 'unknown'
  readonly retryAfterSeconds?: number
  /** True when the operation has ended with this error, so that the same key will give it again. */
  readonly isFinal?: boolean
  /** True when the operation is not kept, so that a retry cannot be told from another request. */
  readonly isForgotten?: boolean
  /** True when the broker will not take this message, however often it is published. */
  readonly isPermanent?: boolean
  /** Response headers that the error's answer must have, such as `allow` or `accept`. */
  readonly headers?: Readonly<Record<string, string>>
}

const BRAND = Symbol.for('respond-async.error')

/** The one error class of this package: switch on `code`, never on the text. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly details: ErrorDetails
  readonly [BRAND] = true

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'GatewayError'
    this.code = code
    this.retryable = ERRORS[code].retryable
    this.details = details
  }
}

/** Tells our errors from others, also when two copies of the package are loaded. */
export function isGatewayError(error: unknown): error is GatewayError {
  return typeof error === 'object' && error !== null && BRAND in error
}

/** Makes any thrown value one of ours; what is unknown becomes `ERR_INTERNAL` with the value as its cause. */
export function toGatewayError(error: unknown, code: ErrorCode = 'ERR_INTERNAL'): GatewayError {
  return isGatewayError(error) ? error : new GatewayError(code, ERRORS[code].title, { cause: error })
}
