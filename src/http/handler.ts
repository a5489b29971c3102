import type { Command, GatewayContext, Reply, RequestOptions } from '../core/command.js'
import { GatewayError } from '../core/errors.js'
import type { Because } from '../core/lifecycle.js'
import type { Operation } from '../core/operation.js'
import { selectMediaType } from './accept.js'
import { renderEnd } from './answer.js'
import { headerOf, readBody } from './body.js'
import { closing } from './closing.js'
import { statusDocument } from './document.js'
import { callHook, principalOf, toHookRequest } from './hooks.js'
import { readIdempotencyKey } from './idempotency.js'
import { formatPreferenceApplied, type Preferences, readPreferences } from './prefer.js'
import { answerError, problemReply, toParserError } from './problem.js'
import { appendVary, encodeLocation, isBodiless } from './safe-headers.js'
import { type HttpSettings, httpOptionsOf, httpSettingsOf, operationUrl } from './settings.js'
import type { HttpReply, HttpRequest } from './types.js'

/** One request to a command's route, with what has been read from it. */
interface Call {
  readonly command: Command
  readonly request: HttpRequest
  readonly settings: HttpSettings
  readonly preferences: Preferences
  /** How long the result may take, in milliseconds; undefined for the command's own time. */
  readonly waitMs: number | undefined
  /** A 202 can be answered: there is a store, and operations are served. */
  readonly deferrable: boolean
}

const UNSAFE = ['POST', 'PUT', 'PATCH', 'DELETE'] as const

/** Why no 202 can be sent although the operation goes on: the code, and whether anything may have happened. */
const NO_202: Record<Because, 'ERR_RESULT_TIMEOUT' | 'ERR_PUBLISH_UNCONFIRMED' | 'ERR_CLOSED'> = {
  preference: 'ERR_RESULT_TIMEOUT',
  timeout: 'ERR_RESULT_TIMEOUT',
  overload: 'ERR_RESULT_TIMEOUT',
  unconfirmed: 'ERR_PUBLISH_UNCONFIRMED',
  shutdown: 'ERR_CLOSED',
}

/**
 * Answers a request to a command's route. The promise never rejects: every error is an answer.
 * With `given`, the data are taken from there, and the body is left alone.
 */
export async function handleCommand(
  command: Command,
  request: HttpRequest,
  given?: { readonly data: unknown },
): Promise<HttpReply> {
  const { gateway } = command
  try {
    const refusal = refuse(command, request, given !== undefined)
    if (refusal !== undefined) return finish(gateway, refusal)
    // What is there already is not awaited: that would cost every request a turn of the microtask queue, three times.
    const read = given === undefined ? readBody(request, httpSettingsOf(gateway)) : given.data
    const body = read instanceof Promise ? await read : read
    const startedAt = gateway.settings.clock.monotonic()
    const call = readCall(command, request)
    const found = principalOf(call.settings, request)
    const principal = found instanceof Promise ? await found : found
    const mapped = isMapped(command)
      ? await mapRequest(call, principal, { body, isGiven: given !== undefined })
      : undefined
    const { data, headers } = mapped ?? { data: body, headers: conditionsOf(request) }
    const reply = await command.request(data, requestOptions(call, { principal, startedAt, headers }))
    return finish(gateway, answerReply(call, reply))
  } catch (error) {
    return finish(gateway, answerError(gateway, error))
  }
}

function finish(gateway: GatewayContext, reply: HttpReply): HttpReply {
  return varied(closing(gateway, reply))
}

/** RFC 7240 section 2: on every answer of the route, as Prefer may have changed any of them. */
function varied(reply: HttpReply): HttpReply {
  const { vary } = reply.headers
  reply.headers.vary = vary === undefined ? 'Prefer' : appendVary(vary, 'Prefer')
  return reply
}

/** The answer to what a body parser in front of a command's route has thrown; undefined for every other error. */
export function answerParserError(gateway: GatewayContext, error: unknown): HttpReply | undefined {
  const refusal = toParserError(error)
  return refusal && varied(problemReply(httpSettingsOf(gateway), refusal))
}

/** Refuses what no look at the body is needed for; `OPTIONS` is answered. */
function refuse({ plan }: Command, request: HttpRequest, isGiven: boolean): HttpReply | undefined {
  const { methods = UNSAFE, produces } = httpOptionsOf(plan.definition)
  const answer = isGiven ? undefined : refuseMethod(request.method, methods)
  if (answer === undefined && produces && selectMediaType(headerOf(request, 'accept'), produces) === undefined) {
    throw new GatewayError('ERR_NOT_ACCEPTABLE', `Available are: ${produces.join(', ')}.`)
  }
  return answer
}

function isMapped({ plan }: Command): boolean {
  const { input, headers, exists } = httpOptionsOf(plan.definition)
  return input !== undefined || headers !== undefined || exists !== undefined
}

/** One literal with every property: this is the object that goes through the core with each request. */
function requestOptions(
  call: Call,
  { principal, startedAt, headers }: Pick<RequestOptions, 'principal' | 'startedAt' | 'headers'>,
): RequestOptions {
  const { request, waitMs, deferrable, command } = call
  const { idempotencyKey } = httpOptionsOf(command.plan.definition)
  const traceparent = headerOf(request, 'traceparent')
  return {
    waitMs,
    onGone: request.onGone,
    idempotencyKey: idempotencyKeyOf(call, idempotencyKey === 'required'),
    principal,
    headers,
    traceparent,
    tracestate: traceparent === undefined ? undefined : headerOf(request, 'tracestate'),
    startedAt,
    deferrable,
  }
}

function refuseMethod(method: string, methods: readonly string[]): HttpReply | undefined {
  if (methods.includes(method)) return undefined
  const allow = [...methods, 'OPTIONS'].join(', ')
  if (method === 'OPTIONS') return { status: 204, headers: { allow } }
  throw new GatewayError('ERR_METHOD_NOT_ALLOWED', `Allowed are: ${allow}.`, { headers: { allow } })
}

function readCall(command: Command, request: HttpRequest): Call {
  const { gateway } = command
  const settings = httpSettingsOf(gateway)
  const preferences = readPreferences(request.headers.prefer)
  const deferrable = gateway.keepsOperations && settings.mounted
  if (preferences.respondAsync && !settings.mounted) warnUnmounted(command, settings)
  const { waitSeconds } = preferences
  const asked = waitSeconds === undefined ? undefined : Math.min(waitSeconds * 1000, gateway.settings.maxWaitMs)
  const grace = httpOptionsOf(command.plan.definition).asyncGraceMs ?? 0
  const waitMs = asked ?? (preferences.respondAsync && deferrable ? grace : undefined)
  return { command, request, settings, preferences, waitMs, deferrable }
}

/** What the command's hooks make of a request: the data and the headers of the event. */
async function mapRequest(
  { command, request, preferences }: Call,
  principal: string | undefined,
  { body, isGiven }: { readonly body: unknown; readonly isGiven: boolean },
) {
  const { input, headers, exists } = httpOptionsOf(command.plan.definition)
  const full = toHookRequest(isGiven ? request : { ...request, body }, { principal, preferences })
  // RFC 9110 section 13.1.2; any other list of tags only the origin can judge.
  if (exists && headerOf(request, 'if-none-match')?.trim() === '*' && (await callHook('exists', () => exists(full))))
    throw new GatewayError('ERR_PRECONDITION_FAILED', 'What the request would create is there already.')
  const data = input && !isGiven ? await callHook('input', () => input(full)) : body
  const own = headers && (await callHook('headers', () => headers(full)))
  return { data, headers: { ...conditionsOf(request), ...own } }
}

/** RFC 9110 section 13.2.1: preconditions that only the origin can evaluate are forwarded to it. */
function conditionsOf(request: HttpRequest): Readonly<Record<string, string>> | undefined {
  const ifMatch = headerOf(request, 'if-match')
  const ifNoneMatch = headerOf(request, 'if-none-match')
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  return { ...(ifMatch && { 'if-match': ifMatch }), ...(ifNoneMatch && { 'if-none-match': ifNoneMatch }) }
}

function idempotencyKeyOf({ request }: Call, isRequired: boolean): string | undefined {
  if (!(UNSAFE as readonly string[]).includes(request.method)) return undefined
  const key = readIdempotencyKey(request.headers['idempotency-key'])
  // Keys are the client's, and told apart by where they were sent.
  if (key !== undefined) return JSON.stringify([request.method, request.url.split('?', 1)[0], key])
  if (isRequired) {
    throw new GatewayError('ERR_IDEMPOTENCY_KEY_MISSING', 'Send an Idempotency-Key header, such as a quoted UUID.')
  }
  return undefined
}

function answerReply(call: Call, reply: Reply): HttpReply {
  if (reply.kind === 'accepted') return answerAccepted(call, reply.operation, reply.because)
  const event = reply.kind === 'completed' ? reply.event : undefined
  const answer = renderEnd(call.command.gateway, reply.operation, { isFirst: !reply.replayed, event })
  return applyPreferences(call, reply.replayed ? withHeaders(answer, { 'idempotent-replayed': 'true' }) : answer)
}

function answerAccepted(call: Call, operation: Operation, reason: Because): HttpReply {
  const { command, settings, deferrable, preferences } = call
  const operationId = operation.id
  // While draining, a wait that runs out comes to the same as one that is ended.
  const because = command.gateway.isClosing && reason === 'timeout' ? 'shutdown' : reason
  const isLost = because === 'shutdown' && !command.gateway.outlivesGateway
  if (!settings.mounted) warnUnmounted(command, settings)
  if (!deferrable || isLost) {
    const text = 'The request was taken, but its result is not known.'
    const isForgotten = !command.gateway.keepsOperations
    return problemReply(
      settings,
      new GatewayError(NO_202[because], text, { operationId, outcome: 'unknown', isForgotten }),
    )
  }
  const { onTimeout } = httpOptionsOf(command.plan.definition)
  const isDue = because === 'timeout' || because === 'preference'
  if (onTimeout === 'gateway-timeout' && isDue && !preferences.respondAsync) {
    const text = 'The operation goes on; its URL is the instance. A retry needs the same Idempotency-Key.'
    return problemReply(settings, new GatewayError('ERR_RESULT_TIMEOUT', text, { operationId }))
  }
  return accepted(call, operation, isDue)
}

/** Once: without the operations nothing is ever deferred, which is seldom meant where they are kept. */
function warnUnmounted({ gateway }: Command, settings: HttpSettings): void {
  if (!gateway.keepsOperations || settings.warned) return
  settings.warned = true
  const text = `No request can be answered 202: mount operations(gateway) at ${settings.operationsPath}, or set store: 'none'.`
  gateway.report(new GatewayError('ERR_CONFIG', text))
}

function accepted(
  { command, settings, preferences, waitMs }: Call,
  operation: Operation,
  hasWaited: boolean,
): HttpReply {
  const url = operationUrl(settings, operation.id)
  const applied = formatPreferenceApplied([
    ...(preferences.respondAsync ? [['respond-async'] as const] : []),
    // RFC 7240 section 3: what was not honoured is not named.
    ...(hasWaited ? waitApplied(preferences, waitMs) : []),
  ])
  const headers = {
    'content-type': 'application/json',
    location: locate(command, operation) ?? url,
    'content-location': url,
    // Where the operation always answers 200, pollers must be told that its answer is not the final one.
    ...(settings.statusStyle === 'document' && { 'operation-location': url }),
    link: `<${url}>; rel="status"`,
    'retry-after': String(settings.retryAfterSeconds),
    'cache-control': 'no-store',
    ...(applied && { 'preference-applied': applied }),
  }
  return { status: 202, headers, body: statusDocument(command.gateway, operation) }
}

/** Where the command says that a 202 points to. The request is accepted by now, so a mistake there is only reported. */
function locate({ plan, gateway }: Command, operation: Operation): string | undefined {
  const { location } = httpOptionsOf(plan.definition).accepted ?? {}
  if (location === undefined) return undefined
  try {
    const encoded = encodeLocation(location(operation), httpSettingsOf(gateway))
    if (encoded !== undefined) return encoded
    throw new GatewayError('ERR_HOOK', 'accepted.location leads off this site, or is no URL.')
  } catch (error) {
    gateway.report(error)
    return undefined
  }
}

function waitApplied({ waitSeconds }: Preferences, waitMs: number | undefined): (readonly [string, number])[] {
  return waitSeconds === undefined || waitMs === undefined ? [] : [['wait', Math.floor(waitMs / 1000)]]
}

/** RFC 7240 section 4.2 for successes, and `Preference-Applied` for what was honoured. */
function applyPreferences({ preferences, waitMs }: Call, reply: HttpReply): HttpReply {
  const { return: wanted } = preferences
  if (wanted === undefined && preferences.waitSeconds === undefined) return reply
  const applies = wanted !== undefined && reply.status < 300 && !isBodiless(reply.status)
  const waited = waitApplied(preferences, waitMs)
  const applied = formatPreferenceApplied([...waited, ...(applies ? [['return', wanted] as const] : [])])
  const answer = applies && wanted === 'minimal' ? withoutBody(reply) : reply
  return applied === undefined ? answer : withHeaders(answer, { 'preference-applied': applied })
}

function withoutBody({ status, headers }: HttpReply): HttpReply {
  const { 'content-type': _, ...others } = headers
  return { status: status === 200 ? 204 : status, headers: others }
}

function withHeaders(reply: HttpReply, headers: Readonly<Record<string, string>>): HttpReply {
  return { ...reply, headers: { ...reply.headers, ...headers } }
}
