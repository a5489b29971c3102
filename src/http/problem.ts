import { STATUS_CODES } from 'node:http'
import type { GatewayContext } from '../core/command.js'
import { ERRORS, type ErrorCode, GatewayError, isGatewayError, toGatewayError } from '../core/errors.js'
import { isSafeHeader } from './safe-headers.js'
import { type HttpSettings, httpSettingsOf, operationUrl } from './settings.js'
import type { HttpReply } from './types.js'

/**
 * What a client may do after a problem. `no`: the same request fails again. `safe`: nothing happened, send it again.
 * `same-key`: it may have happened, send it again with the same Idempotency-Key. `new-key`: it has failed for good
 * under this key; another try is a new request.
 */
export type Retry = 'no' | 'safe' | 'same-key' | 'new-key'

/** Members of a problem document (RFC 9457), with ours. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string | undefined
  readonly instance?: string | undefined
  readonly code: string
  readonly retry: Retry
  /** On every 503, and on a 504 that nobody can follow up: nothing happened, it may have happened, or the worker said that it failed. */
  readonly outcome?: 'not-accepted' | 'unknown' | 'failed' | undefined
  readonly errors?: readonly { readonly detail: string; readonly pointer: string }[] | undefined
}

/** The status of each code, and what may be tried next where nothing more is known. */
const STATUSES: Record<ErrorCode, readonly [status: number, retry: Retry]> = {
  ERR_CONFIG: [500, 'no'],
  ERR_NOT_STARTED: [503, 'safe'],
  ERR_CLOSED: [503, 'safe'],
  ERR_OVERLOADED: [503, 'safe'],
  ERR_TOO_MANY_REQUESTS: [429, 'safe'],
  ERR_TRANSPORT_UNAVAILABLE: [503, 'safe'],
  ERR_STORE_UNAVAILABLE: [503, 'safe'],
  ERR_STORE_FULL: [503, 'safe'],
  ERR_PUBLISH_REJECTED: [503, 'safe'],
  ERR_PUBLISH_UNCONFIRMED: [503, 'same-key'],
  ERR_RESULT_TIMEOUT: [504, 'same-key'],
  ERR_MALFORMED_RESULT: [502, 'new-key'],
  ERR_UNEXPECTED_RESULT: [500, 'no'],
  ERR_WORKER_FAILED: [500, 'new-key'],
  ERR_MAPPER: [500, 'no'],
  ERR_HOOK: [500, 'no'],
  ERR_UNKNOWN_COMMAND: [500, 'no'],
  ERR_OPERATION_NOT_FOUND: [404, 'no'],
  ERR_OPERATION_GONE: [410, 'no'],
  ERR_OPERATION_CANCELED: [409, 'new-key'],
  ERR_OPERATION_FINISHED: [409, 'no'],
  ERR_IDEMPOTENCY_KEY_MISSING: [400, 'no'],
  ERR_IDEMPOTENCY_KEY_INVALID: [400, 'no'],
  ERR_IDEMPOTENCY_MISMATCH: [422, 'no'],
  ERR_IDEMPOTENCY_IN_USE: [409, 'same-key'],
  ERR_INVALID_INPUT: [422, 'no'],
  ERR_NOT_CREATED_YET: [404, 'safe'],
  ERR_NOT_CAUGHT_UP: [503, 'safe'],
  ERR_NOT_REBUILDABLE: [500, 'no'],
  ERR_MALFORMED_BODY: [400, 'no'],
  ERR_UNSUPPORTED_MEDIA_TYPE: [415, 'no'],
  ERR_BODY_TOO_LARGE: [413, 'no'],
  ERR_NOT_FOUND: [404, 'no'],
  ERR_METHOD_NOT_ALLOWED: [405, 'no'],
  ERR_NOT_ACCEPTABLE: [406, 'no'],
  ERR_PRECONDITION_FAILED: [412, 'no'],
  ERR_INTERNAL: [500, 'no'],
}

/** Their texts may name hosts, queues and tables: they are for the event `error` and for logs, and no client's business. */
const TOLD_INSIDE: ReadonlySet<ErrorCode> = new Set([
  ...(['ERR_INTERNAL', 'ERR_TRANSPORT_UNAVAILABLE', 'ERR_STORE_UNAVAILABLE'] as const),
  ...(['ERR_PUBLISH_REJECTED', 'ERR_PUBLISH_UNCONFIRMED'] as const),
])

/** The answer to an error: a problem document with a stable type that says whether a retry is safe. */
export function problemReply(settings: HttpSettings, error: unknown): HttpReply {
  const known = toGatewayError(error)
  const { details, code } = known
  const [byCode, retry] = STATUSES[code]
  const status = code === 'ERR_HOOK' ? (statusOf(known.cause) ?? byCode) : byCode
  const byDefault = code === 'ERR_PUBLISH_UNCONFIRMED' ? 'unknown' : 'not-accepted'
  const outcome = status === 503 ? (details.outcome ?? byDefault) : status === 504 ? details.outcome : undefined
  // What a hook refuses by its own status is named after that status.
  const name = byCode === status ? undefined : STATUS_CODES[status]
  const problem: Problem = {
    type: settings.problemBase + typeName(name ?? code),
    title: name ?? ERRORS[code].title,
    status,
    detail: TOLD_INSIDE.has(code) ? undefined : known.message,
    instance: details.operationId && settings.mounted ? operationUrl(settings, details.operationId) : undefined,
    code,
    retry: retryOf(known, retry, outcome),
    outcome,
    errors: details.issues?.map(({ message, path }) => ({ detail: message, pointer: pointerTo(path) })),
  }
  const reply = replyOf(problem, JSON.stringify(problem), headersOf(known, status))
  return code === 'ERR_CLOSED' ? { ...reply, closeConnection: true } : reply
}

function retryOf({ details, code }: GatewayError, byCode: Retry, outcome: Problem['outcome']): Retry {
  if (details.isFinal && byCode === 'same-key') return 'new-key'
  // Where no operations are kept, no key can tell a retry from another request.
  if (details.isForgotten) return 'no'
  return outcome === 'unknown' || code === 'ERR_PUBLISH_UNCONFIRMED' ? 'same-key' : byCode
}

/** The answer to what has stopped a request; what only the application can mend is reported as well. */
export function answerError(gateway: GatewayContext, error: unknown): HttpReply {
  const reply = problemReply(httpSettingsOf(gateway), error)
  // The reason of a client that has left is no error, and nobody reads the reply.
  if (reply.status === 500 && error instanceof Error) gateway.report(error)
  return reply
}

/** A problem document as an answer; documents may hold more members than `problem`, so they come as text. */
export function replyOf(problem: Problem, body: string, headers: Readonly<Record<string, string>> = {}): HttpReply {
  const link = problem.instance === undefined ? {} : { link: `<${problem.instance}>; rel="status"` }
  const own = { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...link }
  return { status: problem.status, headers: { ...own, ...headers }, body }
}

/** When to come back after a refusal: spread, so that those refused together do not come back together (FM-F13). */
export function jitteredRetryAfter(): string {
  return String(1 + Math.floor(Math.random() * 4))
}

/** The last part of a code or event type as the last part of a problem type: `ERR_RESULT_TIMEOUT` is `result-timeout`. */
export function typeName(name: string): string {
  const last = name.startsWith('ERR_') ? name.slice(4).toLowerCase() : (/[^:./]+$/.exec(name)?.[0] ?? name)
  const words = last.replace(/([a-z\d])([A-Z])/g, '$1-$2').toLowerCase()
  return words.replace(/[^a-z\d]+/g, '-')
}

/** What the body parsers of frameworks throw, as an error of ours; undefined for everything else. */
export function toParserError(error: unknown): GatewayError | undefined {
  if (typeof error !== 'object' || error === null || isGatewayError(error)) return undefined
  const { type, code } = error as { readonly type?: unknown; readonly code?: unknown }
  const name = typeof type === 'string' ? type : code
  // Early releases of Fastify 5 pass the error of their JSON parser on as it is, but for a status.
  const isParsers =
    typeof name === 'string'
      ? /^(FST_ERR_CTP_|entity\.|encoding\.|charset\.|request\.|parameters\.|stream\.)/.test(name)
      : error instanceof SyntaxError
  const mapped = isParsers ? PARSER_CODES[statusOf(error) ?? 0] : undefined
  if (mapped === undefined) return undefined
  const headers = mapped === 'ERR_UNSUPPORTED_MEDIA_TYPE' ? { accept: 'application/json' } : {}
  return new GatewayError(mapped, PARSER_TEXTS[mapped], { cause: error, headers })
}

const PARSER_CODES: Readonly<Record<number, keyof typeof PARSER_TEXTS | undefined>> = {
  400: 'ERR_MALFORMED_BODY',
  413: 'ERR_BODY_TOO_LARGE',
  415: 'ERR_UNSUPPORTED_MEDIA_TYPE',
}

const PARSER_TEXTS = {
  ERR_MALFORMED_BODY: 'The body is not valid JSON.',
  ERR_BODY_TOO_LARGE: 'The body is longer than this service takes.',
  ERR_UNSUPPORTED_MEDIA_TYPE: 'Send the body as application/json.',
} as const

function headersOf({ details, code, cause }: GatewayError, status: number): Record<string, string> {
  const headers: Record<string, string> = { ...details.headers }
  // RFC 9110 section 15.5.2 wants a challenge; a hook knows better which one.
  if (status === 401) headers['www-authenticate'] = challengeOf(cause) ?? 'Bearer'
  if (status === 503 || status === 429)
    headers['retry-after'] = String(details.retryAfterSeconds ?? jitteredRetryAfter())
  if (code === 'ERR_IDEMPOTENCY_IN_USE') headers['retry-after'] = '1'
  return headers
}

function challengeOf(error: unknown): string | undefined {
  const { headers } = (error ?? {}) as { readonly headers?: Readonly<Record<string, unknown>> }
  const value = headers?.['www-authenticate'] ?? headers?.['WWW-Authenticate']
  return isSafeHeader('www-authenticate', value) ? value : undefined
}

/** The 4xx that an error of a hook or of a parser carries, as most frameworks' errors do. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { status, statusCode } = error as { readonly status?: unknown; readonly statusCode?: unknown }
  const number = typeof status === 'number' ? status : statusCode
  return typeof number === 'number' && Number.isInteger(number) && number >= 400 && number <= 499 ? number : undefined
}

/** A JSON Pointer as a URI fragment (RFC 6901 section 6). */
function pointerTo(path: readonly (string | number)[]): string {
  const steps = path.map((part) => encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1')))
  return ['#', ...steps].join('/')
}
