import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { isJson, textOf } from '../../core/event.js'
import { type Found, nothing, VALUE } from './answer.js'
import { membersOf } from './json.js'

/** Members of a Nest answer over RabbitMQ; whatever has others is none. */
const ANSWER = new Set(['response', 'err', 'isDisposed', 'id', 'status'])
const EVENT = new Set(['pattern', 'data', 'id', 'options'])
/** What Nest makes of every error that is no RpcException: the text of such an error never leaves the worker. */
const UNTOLD = '{"status":"error","message":"Internal server error"}'

/**
 * The envelope of a request over RabbitMQ. Without `id` a Nest worker takes it for an event and answers nothing; with
 * it even an event handler answers at once, with an empty answer that says nothing of its work.
 * @throws GatewayError ERR_INVALID_INPUT for data that are no JSON.
 */
export function writeEnvelope(message: EventMessage): Uint8Array {
  const { contentType, body } = message
  if (!isJson(contentType)) throw new GatewayError('ERR_INVALID_INPUT', `Nest takes JSON alone, not ${contentType}.`)
  const [before, behind] = envelopeOf(message)
  return Buffer.from(before + textOf(body) + behind)
}

/** How many bytes an envelope adds to the data of a request. */
export function envelopeBytes(message: EventMessage): number {
  const [before, behind] = envelopeOf(message)
  return Buffer.byteLength(before) + Buffer.byteLength(behind)
}

function envelopeOf({ profile, type, id }: EventMessage): readonly [before: string, behind: string] {
  const pattern = JSON.stringify(profile?.pattern ?? type)
  const asked = profile?.answers === 'event' ? '' : `,"id":${JSON.stringify(id)}`
  return [`{"pattern":${pattern},"data":`, `${asked}}`]
}

/** What an envelope from a Nest worker says; undefined when it is none. */
export function readEnvelope(body: Uint8Array): Found | undefined {
  const members = membersOf(body)
  if (members === undefined || members.size === 0) return undefined
  const names = [...members.keys()]
  const data = members.get('data')
  const pattern = members.get('pattern')
  if (pattern !== undefined && data !== undefined && names.every((name) => EVENT.has(name))) {
    return { type: patternType(pattern), ...json(data) }
  }
  return names.every((name) => ANSWER.has(name)) ? readAnswer(members) : undefined
}

/** A text is the name itself, an object is its JSON. */
function patternType(pattern: string): string {
  return pattern.startsWith('"') ? JSON.parse(pattern) : pattern
}

function readAnswer(members: ReadonlyMap<string, string>): Found | undefined {
  const isLast = members.get('isDisposed') === 'true'
  const err = members.get('err')
  const response = members.get('response')
  if (err !== undefined && err !== 'null') return readError(err, isLast)
  if (response !== undefined) return { type: '', reply: { isLast, isEmpty: false }, ...json(response) }
  return isLast ? { type: '', ...nothing({ isLast }) } : undefined
}

/** An error that ends nothing is the answer of a worker without a handler for the pattern. */
function readError(err: string, isLast: boolean): Found {
  if (!isLast) return { type: '', ...nothing({ isLast: true, failure: 'unhandled' }) }
  return failed(err)
}

/** A failure by the JSON text of its error. */
function failed(err: string): Found {
  if (sameJson(err, UNTOLD)) return { type: '', ...nothing({ isLast: true, failure: 'exception' }) }
  return { type: '', reply: { ...VALUE, failure: 'refused' }, ...json(err) }
}

function sameJson(one: string, other: string): boolean {
  return JSON.stringify(JSON.parse(one)) === other
}

function json(text: string): Found {
  return { body: Buffer.from(text), contentType: 'application/json' }
}

/** Header of a Nest answer over Kafka that is an error. */
export const NEST_ERROR = 'kafka_nest-err'
/** Header of the last Nest answer over Kafka. */
export const NEST_END = 'kafka_nest-is-disposed'

/** What the headers of an answer over Kafka say; the value is bare. */
export function readMarkers(error: string | undefined, isLast: boolean, isEmpty: boolean): Found {
  if (error !== undefined) return failed(isJsonText(error) ? error : JSON.stringify(error))
  return isEmpty ? { type: '', ...nothing({ isLast }) } : { type: '', reply: { isLast, isEmpty } }
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
