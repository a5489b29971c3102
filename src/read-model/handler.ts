import { createHash } from 'node:crypto'
import type { GatewayContext } from '../core/command.js'
import { GatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import { isEnded, type Operation } from '../core/operation.js'
import { headerOf } from '../http/body.js'
import { isNotModifiedSince, matchesNoneMatch } from '../http/conditional.js'
import { statusDocument } from '../http/document.js'
import { callHook, principalOf, toHookRequest } from '../http/hooks.js'
import { isPermitted } from '../http/operations.js'
import { readPreferences } from '../http/prefer.js'
import { answerError, problemReply } from '../http/problem.js'
import { createHttpExtension, type HookRequest, httpSettingsOf, operationUrl } from '../http/settings.js'
import type { HttpReply, HttpRequest } from '../http/types.js'
import type { Copied, ReadEntry } from './types.js'

/** How reads are answered: to any caller, but for what `show` holds back. */
export interface ReadOptions<State> {
  /** Knows which operations are running: what they create is then said to be on its way. */
  readonly gateway?: GatewayContext
  /** @default the route's parameter `id`, else the last part of the path */
  readonly key?: (request: HookRequest) => string | undefined
  /** Makes the body of a state; undefined for 404, also for who may not see it. @default the state itself */
  readonly show?: (state: State, request: HookRequest) => unknown
  /** What is still being created is a 404 that says so, or 202 with the Location of its operation. @default 'not-found' */
  readonly pending?: 'not-found' | 'accepted'
  /** How long a read waits for what an ended operation has created. @default 1000 */
  readonly lagMs?: number
  /** @default 'private, no-cache', as nobody knows how long a state will stand */
  readonly cacheControl?: string
}

/** One read, with what has been read from it. */
interface Visit<State> {
  readonly model: Copied<State>
  readonly request: HttpRequest
  readonly options: ReadOptions<State>
  readonly key: string
}

/** How late an event may be, and how far the clocks of its writer and of the reader apart, so that dates can be trusted. */
const SETTLED_MS = 10_000
const ALLOW = 'GET, HEAD, OPTIONS'
const PLAIN = createHttpExtension({}).settings as Parameters<typeof problemReply>[0]

/** Answers a read of one state. The promise never rejects: every error is an answer. */
export async function answerRead<State>(
  model: Copied<State>,
  request: HttpRequest,
  options: ReadOptions<State>,
): Promise<HttpReply> {
  const { gateway } = options
  const failed = (error: unknown) => (gateway ? answerError(gateway, error) : problemReply(PLAIN, error))
  const { status, headers, body } = await answer(model, request, options).catch(failed)
  if (gateway !== undefined) headers.vary = 'Prefer'
  return request.method === 'HEAD' ? { status, headers } : { status, headers, body }
}

async function answer<State>(
  model: Copied<State>,
  request: HttpRequest,
  options: ReadOptions<State>,
): Promise<HttpReply> {
  if (request.method === 'OPTIONS') return { status: 204, headers: { allow: ALLOW } }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new GatewayError('ERR_METHOD_NOT_ALLOWED', `Allowed are: ${ALLOW}.`, { headers: { allow: ALLOW } })
  }
  const { key: keyOf = lastPart } = options
  const key = await callHook('key', () => keyOf(toHookRequest(request)))
  if (key === undefined || key === '') throw notFound()
  // A state that is missing, or old, only because the past has not been read yet would be a lie.
  if (!model.status.isReady) throw new GatewayError('ERR_NOT_CAUGHT_UP', 'Try again in a moment.')
  const visit = { model, request, options, key }
  const entry = await model.get(key)
  return entry === undefined ? await showMissing(visit) : show(visit, entry)
}

function lastPart({ params, url }: HookRequest): string | undefined {
  if (params.id !== undefined) return params.id
  const [path = ''] = url.split('?', 1)
  try {
    return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
  } catch {
    return undefined
  }
}

async function show<State>({ model, request, options }: Visit<State>, entry: ReadEntry<State>): Promise<HttpReply> {
  const { show: toBody = (state: State) => state, cacheControl = 'private, no-cache' } = options
  const shown = await callHook('show', () => toBody(entry.state, toHookRequest(request)))
  if (shown === undefined) throw notFound()
  const body = JSON.stringify(shown)
  // Of the content, so that all instances give the same one, however each has come by its copy.
  const etag = `"${createHash('sha256').update(model.name).update('\0').update(body).digest('base64url').slice(0, 22)}"`
  const headers: Record<string, string> = { etag, 'cache-control': cacheControl }
  const dates = datesOf(entry.time)
  if (dates !== undefined) headers['last-modified'] = new Date(dates.shown).toUTCString()
  if (isUnchanged(request, etag, dates?.settled)) return { status: 304, headers }
  const typed = { ...headers, 'content-type': 'application/json', 'x-content-type-options': 'nosniff' }
  return { status: 200, headers: typed, body }
}

/**
 * Dates have seconds, and what a state is in the middle of one is not what it is at its end (RFC 9110 section 8.8.2.2). So
 * only a date behind the second of the last event counts as a condition, and such a date is shown once no other event of
 * that second is to be expected; until then it is that second, which tells when, and no more.
 */
function datesOf(time: number): { readonly shown: number; readonly settled: number } | undefined {
  const now = Date.now()
  // RFC 9110 section 8.8.2.1: never later than now, whatever the clocks of the writers say.
  const second = Math.floor(Math.min(time, now) / 1000) * 1000
  if (second <= 0) return undefined
  const settled = second + 1000
  return { shown: now - settled >= SETTLED_MS ? settled : second, settled }
}

function isUnchanged(request: HttpRequest, etag: string, settled: number | undefined): boolean {
  const ifNoneMatch = headerOf(request, 'if-none-match')
  if (ifNoneMatch !== undefined) return matchesNoneMatch(ifNoneMatch, etag)
  return settled !== undefined && isNotModifiedSince(headerOf(request, 'if-modified-since'), settled)
}

/** What is not there may be on its way: in an operation that runs, or in an event that has not been folded yet. */
async function showMissing<State>(visit: Visit<State>, mayWait = true): Promise<HttpReply> {
  const { model, request, options, key } = visit
  const { gateway, lagMs: waitMs = 1000 } = options
  if (gateway === undefined) throw notFound()
  const found = await gateway.operations.creating(key)
  const own = await knownTo(gateway, request, found)
  const running = own.find((operation) => !isEnded(operation))
  if (mayWait && running !== undefined && (await waitFor(gateway, request, running))) return showMissing(visit, false)
  const created = found.filter(hasCreated)
  const isAt = await Promise.all(created.map(({ result }) => model.whenAt(result, { waitMs })))
  const entry = isAt.includes(true) ? await model.get(key) : undefined
  if (entry !== undefined) return show(visit, entry)
  // An event that is in the copy, and has not made this, is not on its way any more.
  const late = created.find((operation, index) => isAt[index] === false && own.includes(operation))
  const operation = running ?? late
  if (operation === undefined) throw notFound()
  return showPending(gateway, operation, options.pending)
}

function hasCreated(operation: Operation): operation is Operation & { readonly result: EventMessage } {
  return operation.state === 'succeeded' && operation.result !== undefined
}

/** To others than its principal, an operation, and with it what it will create, is not there. */
async function knownTo(
  gateway: GatewayContext,
  request: HttpRequest,
  operations: readonly Operation[],
): Promise<readonly Operation[]> {
  if (operations.length === 0) return []
  const settings = httpSettingsOf(gateway)
  const principal = await principalOf(settings, request)
  const known: Operation[] = []
  for (const operation of operations)
    if (await isPermitted(settings, operation, { principal, verb: 'read' })) known.push(operation)
  return known
}

/** Waits for the end of an operation, if the client would rather do that; false when it would not, or may not. */
async function waitFor(gateway: GatewayContext, request: HttpRequest, operation: Operation): Promise<boolean> {
  const { waitSeconds } = readPreferences(request.headers.prefer)
  if (waitSeconds === undefined || gateway.isFullFor(operation.principal) || request.method !== 'GET') return false
  const waitMs = Math.min(waitSeconds * 1000, gateway.settings.maxWaitMs)
  const { principal, id } = operation
  await gateway.operations.wait(id, { waitMs, onGone: request.onGone, principal })
  return true
}

function showPending(
  gateway: GatewayContext,
  operation: Operation,
  pending: ReadOptions<unknown>['pending'],
): HttpReply {
  const settings = httpSettingsOf(gateway)
  const retryAfter = { 'retry-after': String(settings.retryAfterSeconds) }
  if (pending === 'accepted' && settings.mounted) {
    const location = operationUrl(settings, operation.id)
    const headers = { location, link: `<${location}>; rel="status"`, 'cache-control': 'no-store', ...retryAfter }
    const typed = { ...headers, 'content-type': 'application/json' }
    return { status: 202, headers: typed, body: statusDocument(gateway, operation) }
  }
  const text = 'The operation that creates this has not ended, or has only just: ask again.'
  const details = { operationId: operation.id, headers: retryAfter }
  return problemReply(settings, new GatewayError('ERR_NOT_CREATED_YET', text, details))
}

function notFound(): GatewayError {
  return new GatewayError('ERR_NOT_FOUND', 'There is nothing with this id.')
}
