import type { GatewayContext } from '../core/command.js'
import { GatewayError } from '../core/errors.js'
import { timeOfId } from '../core/ids.js'
import { isEnded, type Operation } from '../core/operation.js'
import { selectMediaType } from './accept.js'
import { renderEnd } from './answer.js'
import { headerOf } from './body.js'
import { closing } from './closing.js'
import { matchesIfMatch, matchesNoneMatch } from './conditional.js'
import { entityTag, redirectNote, statusDocument } from './document.js'
import { callHook, principalOf, queryOf } from './hooks.js'
import { readPreferences } from './prefer.js'
import { answerError } from './problem.js'
import { type HttpSettings, httpSettingsOf, operationUrl, type Verb } from './settings.js'
import { openStream } from './stream.js'
import type { HttpReply, HttpRequest } from './types.js'

/** One request to an operation, or to its result or events. */
interface Visit {
  readonly gateway: GatewayContext
  readonly request: HttpRequest
  readonly settings: HttpSettings
  readonly id: string
  readonly part: 'status' | 'result' | 'events'
}

const JSON_TYPES = ['application/json', 'application/problem+json'] as const
const STREAM_TYPE = 'text/event-stream'

/**
 * Says that operations are served, so that requests can be answered with 202.
 * @throws GatewayError ERR_CONFIG where the adapter knows their path, and it is not `operationsPath`.
 */
export function mountOperations(gateway: GatewayContext, path?: string): void {
  const settings = httpSettingsOf(gateway)
  if (path !== undefined && path !== settings.operationsPath) throw misplaced(path, settings)
  settings.mounted = gateway.keepsOperations
}

/** Answers a request below the path of the operations. The promise never rejects: every error is an answer. */
export async function handleOperations(gateway: GatewayContext, request: HttpRequest): Promise<HttpReply> {
  const settings = httpSettingsOf(gateway)
  const answer = await answerVisit(gateway, request, settings).catch((error: unknown) => answerError(gateway, error))
  const reply = closing(gateway, answer)
  const { status, headers, closeConnection } = reply
  headers.vary = 'Prefer, Accept'
  headers['referrer-policy'] = 'no-referrer'
  return request.method === 'HEAD' ? { status, headers, closeConnection } : reply
}

async function answerVisit(gateway: GatewayContext, request: HttpRequest, settings: HttpSettings): Promise<HttpReply> {
  const startedAt = gateway.settings.clock.monotonic()
  const visit = parsePath(gateway, request, settings)
  const allow = visit.part === 'status' ? 'GET, HEAD, DELETE, OPTIONS' : 'GET, HEAD, OPTIONS'
  if (request.method === 'OPTIONS') return { status: 204, headers: { allow } }
  if (!allow.split(', ').includes(request.method)) {
    throw new GatewayError('ERR_METHOD_NOT_ALLOWED', `Allowed are: ${allow}.`, { headers: { allow } })
  }
  const offered = visit.part === 'events' ? [STREAM_TYPE] : visit.part === 'status' ? [...JSON_TYPES, STREAM_TYPE] : []
  const mediaType = offered.length > 0 ? selectMediaType(headerOf(request, 'accept'), offered) : JSON_TYPES[0]
  if (mediaType === undefined) throw new GatewayError('ERR_NOT_ACCEPTABLE', `Available are: ${offered.join(', ')}.`)
  const operation = await find(visit)
  if (request.method === 'DELETE') return cancel(visit, operation)
  if (mediaType === STREAM_TYPE) return openStream(gateway, request, operation)
  const hasWaited = canWait(visit, operation)
  const latest = hasWaited ? await poll(visit, operation, startedAt) : operation
  return isEnded(latest) ? showEnd(visit, latest) : showRunning(visit, latest, hasWaited)
}

function parsePath(gateway: GatewayContext, request: HttpRequest, settings: HttpSettings): Visit {
  const { operationsPath } = settings
  // RFC 9112 section 3.2.2: a client may name the whole URL.
  const [path = ''] = request.url.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)
  if (!isAtOrBelow(operationsPath, path)) throw isLike(operationsPath, path) ? noPage() : misplaced(path, settings)
  const [id = '', part = 'status', ...more] = path.slice(operationsPath.length + 1).split('/')
  const isKnown = (part === 'status' && !path.endsWith('/status')) || part === 'result' || part === 'events'
  if (id === '' || !isKnown || more.length > 0) throw noPage()
  return { gateway, request, settings, id, part }
}

function isAtOrBelow(base: string, path: string): boolean {
  return path === base || path.startsWith(`${base}/`)
}

/** Routers overlook case and encoding: it is the client that has misspelt such a path, and nothing is misplaced. */
function isLike(base: string, path: string): boolean {
  const decoded = path.replace(/%[\da-f]{2}/gi, (octet) => String.fromCharCode(Number.parseInt(octet.slice(1), 16)))
  return isAtOrBelow(base.toLowerCase(), decoded.toLowerCase())
}

function noPage(): GatewayError {
  return new GatewayError('ERR_NOT_FOUND', 'There is no such page.')
}

function misplaced(path: string, { operationsPath }: HttpSettings): GatewayError {
  const text = `Operations are served at ${path}, but operationsPath, the whole public path, is ${operationsPath}: make the two the same.`
  return new GatewayError('ERR_CONFIG', text)
}

/** The operation, if there is one that the caller may see; all others look alike. */
async function find({ gateway, request, settings, id }: Visit): Promise<Operation> {
  const principal = await principalOf(settings, request)
  const verb: Verb = request.method === 'DELETE' ? 'cancel' : 'read'
  // By principal too, so that nobody uses up what the owner may read.
  if (verb === 'read') settings.reads.count(JSON.stringify([id, principal]), gateway.settings.clock.monotonic())
  const operation = await gateway.operations.get(id)
  if (operation === undefined) throw isPurged(gateway, id) ? gone() : notFound()
  if (!(await isPermitted(settings, operation, { principal, verb }))) throw notFound()
  return operation
}

/** Whether somebody may do this with an operation. */
export async function isPermitted(
  { authorize = isOwner }: HttpSettings,
  operation: Operation,
  { principal, verb }: { readonly principal: string | undefined; readonly verb: Verb },
): Promise<boolean> {
  return callHook('authorize', () => authorize(operation, principal, verb))
}

function isOwner(operation: Operation, principal: string | undefined): boolean {
  return operation.principal === principal
}

/** An id of ours that is old enough to have been purged, and not so old that nobody can still be asking. */
function isPurged({ settings }: GatewayContext, id: string): boolean {
  const { operationTtlMs, retentionMs, clock } = settings
  const age = clock.now() - (timeOfId(id) ?? Number.POSITIVE_INFINITY)
  return age >= retentionMs && age <= 2 * (operationTtlMs + retentionMs)
}

function notFound(): GatewayError {
  return new GatewayError('ERR_OPERATION_NOT_FOUND', 'There is no operation with this id.')
}

function gone(): GatewayError {
  return new GatewayError('ERR_OPERATION_GONE', 'The operation ended, and its time of retention is over.')
}

/** Whether the request asks to wait, and there is room for one more who does. */
function canWait({ gateway, request }: Visit, operation: Operation): boolean {
  const { waitSeconds } = readPreferences(request.headers.prefer)
  if (waitSeconds === undefined || request.method !== 'GET') return false
  return !isEnded(operation) && !gateway.isFullFor(operation.principal)
}

/** Waits as the request prefers: for the end, or with a matching entity tag for any change. */
async function poll(visit: Visit, operation: Operation, startedAt: number): Promise<Operation> {
  const { gateway, request, id } = visit
  const until = startedAt + waitSecondsOf(visit) * 1000
  const waitMs = Math.max(0, until - gateway.settings.clock.monotonic())
  const seenVersion = isUnchanged(request, operation) ? operation.version : undefined
  const { principal } = operation
  const latest = await gateway.operations.wait(id, { waitMs, seenVersion, onGone: request.onGone, principal })
  return latest ?? operation
}

function waitSecondsOf({ gateway, request }: Visit): number {
  const { waitSeconds = 0 } = readPreferences(request.headers.prefer)
  return Math.min(waitSeconds, gateway.settings.maxWaitMs / 1000)
}

function isUnchanged(request: HttpRequest, operation: Operation): boolean {
  const ifNoneMatch = headerOf(request, 'if-none-match')
  return ifNoneMatch !== undefined && matchesNoneMatch(ifNoneMatch, entityTag(operation))
}

function showRunning(visit: Visit, operation: Operation, hasWaited: boolean): HttpReply {
  const { gateway, request, settings } = visit
  const url = operationUrl(settings, operation.id)
  const headers = {
    ...stateHeaders(visit, operation),
    'retry-after': String(settings.retryAfterSeconds),
    ...(hasWaited && { 'preference-applied': `wait=${Math.floor(waitSecondsOf(visit))}` }),
  }
  if (isUnchanged(request, operation)) return { status: 304, headers }
  const isDocument = visit.part === 'status' && showsDocument(visit)
  const typed = { ...headers, 'content-type': 'application/json', ...(!isDocument && { location: url }) }
  return { status: isDocument ? 200 : 202, headers: typed, body: statusDocument(gateway, operation) }
}

function showEnd(visit: Visit, operation: Operation): HttpReply {
  const { gateway, request, settings, part } = visit
  if (part === 'result') return showResult(visit, operation)
  const url = operationUrl(settings, operation.id)
  if (!showsDocument(visit)) {
    const headers = {
      'content-type': 'application/json',
      location: `${url}/result`,
      'content-location': url,
      'cache-control': 'no-store',
    }
    return { status: 303, headers, body: redirectNote(settings, operation) }
  }
  const headers = stateHeaders(visit, operation)
  if (isUnchanged(request, operation)) return { status: 304, headers }
  return {
    status: 200,
    headers: { ...headers, 'content-type': 'application/json' },
    body: statusDocument(gateway, operation),
  }
}

function showResult({ gateway }: Visit, operation: Operation): HttpReply {
  const reply = renderEnd(gateway, operation)
  const caching = reply.status < 300 ? 'private, no-cache' : 'no-store'
  return { ...reply, headers: { 'cache-control': caching, ...reply.headers } }
}

function stateHeaders({ settings }: Visit, operation: Operation): Record<string, string> {
  return {
    etag: entityTag(operation),
    'cache-control': 'private, no-cache',
    'content-location': operationUrl(settings, operation.id),
    // RFC 8594: when the resource will be gone.
    sunset: new Date(operation.expiresAt).toUTCString(),
  }
}

function showsDocument({ request, settings }: Visit): boolean {
  return settings.statusStyle === 'document' || queryOf(request).get('follow') === 'false'
}

async function cancel(visit: Visit, operation: Operation): Promise<HttpReply> {
  const { gateway, request, id } = visit
  const ifMatch = headerOf(request, 'if-match')
  if (ifMatch !== undefined && !matchesIfMatch(ifMatch, entityTag(operation))) throw changed()
  const isBound = ifMatch !== undefined && ifMatch.trim() !== '*'
  const settled = await gateway.operations.cancel(id, isBound ? { ifVersion: operation.version } : {})
  if (settled === undefined) throw notFound()
  if (settled.verdict === 'stale') throw changed()
  if (settled.operation.state !== 'canceled') {
    const text = `The operation has ended as ${settled.operation.state} and cannot be canceled.`
    throw new GatewayError('ERR_OPERATION_FINISHED', text, { operationId: id })
  }
  const headers = { ...stateHeaders(visit, settled.operation), 'content-type': 'application/json' }
  return { status: 200, headers, body: statusDocument(gateway, settled.operation) }
}

function changed(): GatewayError {
  return new GatewayError('ERR_PRECONDITION_FAILED', 'The operation has changed since the entity tag was given.')
}
