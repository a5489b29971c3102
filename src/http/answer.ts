import { isUtf8 } from 'node:buffer'
import type { GatewayContext } from '../core/command.js'
import { ERRORS, GatewayError } from '../core/errors.js'
import { type Event, isJson, textOf, toEvent } from '../core/event.js'
import type { Operation } from '../core/operation.js'
import type { HttpAnswer } from './outcomes.js'
import { jitteredRetryAfter, type Problem, problemReply, replyOf, typeName } from './problem.js'
import { encodeLocation, isAnswerHeader, isAnswerStatus, isBodiless, isSafeHeader } from './safe-headers.js'
import { type HttpSettings, httpOptionsOf, httpSettingsOf, operationUrl } from './settings.js'
import type { HttpReply } from './types.js'

const SHORT_BYTES = 16_384

/** What is known of an answer beside the operation: whether it is the first one, and a view of the result to read. */
interface Seen {
  readonly isFirst?: boolean
  readonly event?: Event | undefined
}

/**
 * The answer that an ended operation gives, wherever and whenever it is asked: a function of the stored result event
 * and the command's table. Only the first answer may invite to come back; a replay would invite for ever.
 */
export function renderEnd(gateway: GatewayContext, operation: Operation, seen: Seen = {}): HttpReply {
  const settings = httpSettingsOf(gateway)
  try {
    return render(gateway, operation, seen)
  } catch (error) {
    gateway.report(error)
    return problemReply(settings, error)
  }
}

/** Adds members whose JSON is there already, as text, so that no digit of it changes. */
export function joinJson(
  members: object,
  ...raw: readonly (readonly [name: string, json: string | undefined])[]
): string {
  const added = raw.filter(([, json]) => json !== undefined).map(([name, json]) => `,${JSON.stringify(name)}:${json}`)
  return `${JSON.stringify(members).slice(0, -1)}${added.join('')}}`
}

/** The data of an event as JSON text; undefined when they are not JSON. */
export function jsonOf({ body, contentType }: Pick<Event, 'body' | 'contentType'>): string | undefined {
  if (!isJson(contentType) || body.byteLength === 0) return undefined
  return textOf(body)
}

function render(gateway: GatewayContext, operation: Operation, { isFirst = false, event: view }: Seen): HttpReply {
  const { result, error, id, command } = operation
  const settings = httpSettingsOf(gateway)
  if (result === undefined) {
    const code = error?.code ?? 'ERR_INTERNAL'
    const { title } = ERRORS[code]
    return problemReply(settings, new GatewayError(code, error?.message ?? title, { operationId: id, isFinal: true }))
  }
  const plan = gateway.commandOf(command)
  const outcome = plan?.outcomeOf(result.type)
  if (plan === undefined || outcome === undefined) {
    const text = `This instance has no outcome for ${result.type} of the command ${command}.`
    throw new GatewayError('ERR_UNKNOWN_COMMAND', text, { operationId: id })
  }
  const event = view ?? toEvent(result)
  const answer = mapEvent(() => outcome.answer?.(event, operation), operation) ?? defaultAnswer(outcome.state)
  if (!isAnswerStatus(answer.status)) throw unusable(`The status ${String(answer.status)} cannot be answered.`, id)
  return answer.problem === undefined
    ? renderAnswer(answer, event, { settings, produces: httpOptionsOf(plan.definition).produces })
    : renderProblem({ answer, event, operation, settings, isFirst })
}

function mapEvent(map: () => unknown, { id, command }: Operation): HttpAnswer | undefined {
  const details = (cause?: unknown) => ({ operationId: id, ...(cause !== undefined && { cause }) })
  let made: unknown
  try {
    made = map()
  } catch (cause) {
    throw new GatewayError('ERR_MAPPER', `The outcome table of ${command} has thrown.`, details(cause))
  }
  const { body, location } = (made ?? {}) as Partial<HttpAnswer>
  if (isThenable(made) || isThenable(body)) {
    throw new GatewayError(
      'ERR_MAPPER',
      `The outcome table of ${command} must answer at once, not by a promise.`,
      details(),
    )
  }
  if (location !== undefined && typeof location !== 'string') {
    throw new GatewayError('ERR_MAPPER', `A location of ${command} is no text but ${typeof location}.`, details())
  }
  return made as HttpAnswer | undefined
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function defaultAnswer(state: 'succeeded' | 'failed'): HttpAnswer {
  return state === 'succeeded' ? { status: 200 } : { status: 500, problem: { status: 500 } }
}

/** JSON, and what the command says it produces; a worker must not make a page out of an answer. */
function answerType({ contentType }: Event, produces: readonly string[] | undefined): string {
  if (contentType === 'application/json') return contentType
  return isKnownType(contentType, produces) ? contentType : 'application/octet-stream'
}

function isKnownType(contentType: string, produces: readonly string[] = []): boolean {
  const isDeclared = produces.includes(contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '')
  return (isJson(contentType) || isDeclared) && isSafeHeader('content-type', contentType)
}

interface Rules {
  readonly settings: HttpSettings
  readonly produces: readonly string[] | undefined
}

function renderAnswer(answer: HttpAnswer, event: Event, rules: Rules): HttpReply {
  const headers = checkedHeaders(answer, event, rules)
  if (isBodiless(answer.status)) return { status: answer.status, headers }
  headers['content-type'] ??= answer.body === undefined ? answerType(event, rules.produces) : 'application/json'
  const body = answer.body === undefined ? toBody(event) : mapped(() => JSON.stringify(answer.body), event)
  return { status: answer.status, headers, body }
}

/** Short JSON as text: Node writes one together with the head, and bytes on their own at twice the cost. */
function toBody({ body, contentType }: Event): string | Uint8Array {
  return isJson(contentType) && body.byteLength <= SHORT_BYTES && isUtf8(body) ? textOf(body) : body
}

function mapped(encode: () => string, { type, correlationId }: Event): string {
  try {
    return encode()
  } catch (cause) {
    const details = { cause, ...(correlationId !== undefined && { operationId: correlationId }) }
    throw new GatewayError('ERR_MAPPER', `What ${type} was turned into has no JSON form.`, details)
  }
}

function checkedHeaders(answer: HttpAnswer, event: Event, { settings, produces }: Rules): Record<string, string> {
  const headers: Record<string, string> = { 'x-content-type-options': 'nosniff' }
  if (answer.headers !== undefined) {
    for (const [name, value] of Object.entries(answer.headers)) {
      if (!isAnswerHeader(name, value) || (/^content-type$/i.test(name) && !isKnownType(value, produces)))
        throw unusable(`The header ${JSON.stringify(name)} cannot be answered.`, event.correlationId)
      headers[name.toLowerCase()] = value
    }
  }
  if (answer.location !== undefined) {
    const location = encodeLocation(answer.location, settings)
    if (location === undefined) {
      const text = `The location ${JSON.stringify(answer.location)} must begin with one / or with publicUrl.`
      throw unusable(text, event.correlationId)
    }
    headers.location = location
  }
  return headers
}

interface Failure {
  readonly answer: HttpAnswer
  readonly event: Event
  readonly operation: Operation
  readonly settings: HttpSettings
  readonly isFirst: boolean
}

function renderProblem({ answer, event, operation, settings, isFirst }: Failure): HttpReply {
  const { status, type, title, detail, data } = answer.problem ?? { status: answer.status }
  const isGeneric = event.type === `${operation.command}::Failed`
  const name = typeName(isGeneric ? 'ERR_WORKER_FAILED' : event.type)
  const words = name.replaceAll('-', ' ')
  const problem: Problem = {
    type: type ?? settings.problemBase + name,
    title: title ?? (isGeneric ? ERRORS.ERR_WORKER_FAILED.title : words.charAt(0).toUpperCase() + words.slice(1)),
    status,
    detail,
    instance: settings.mounted ? operationUrl(settings, operation.id) : undefined,
    code: isGeneric ? 'ERR_WORKER_FAILED' : event.type,
    retry: status >= 500 ? 'new-key' : 'no',
    outcome: status === 503 ? 'failed' : undefined,
  }
  if (status < 400) throw unusable(`A problem cannot have the status ${status}.`, operation.id)
  const headers = checkedHeaders(answer, event, { settings, produces: undefined })
  // RFC 9457 section 3: a problem says by its media type that it is one.
  delete headers['content-type']
  if (status === 503 && isFirst) headers['retry-after'] = jitteredRetryAfter()
  const shown = data === undefined ? jsonOf(event) : data === null ? undefined : JSON.stringify(data)
  return replyOf(problem, joinJson(problem, ['data', shown]), headers)
}

function unusable(text: string, operationId: string | undefined): GatewayError {
  return new GatewayError('ERR_MALFORMED_RESULT', text, operationId === undefined ? {} : { operationId })
}
