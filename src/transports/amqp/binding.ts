import { createHash } from 'node:crypto'
import type { EventMessage } from '../../core/event.js'
import { timeOfId } from '../../core/ids.js'
import { withAmqpProfiles } from '../profiles/amqp.js'
import { FIELDS, readHeaders, TIME, wireName } from '../profiles/amqp-headers.js'
import type { AmqpBinding, AmqpContent, AmqpProperties, Surroundings } from '../profiles/amqp-wire.js'

/** A short string has at most this many bytes (AMQP 0-9-1, 4.2.5.3); what is longer goes into the header table. */
const SHORT = 255

/** Envelope fields in basic properties, and the header of those that are too long for one. */
const LONG = { id: 'ra-id', type: 'ra-type', source: 'ra-source', contentType: 'ra-content-type' } as const

/** The native profile: basic properties wherever there is one, and a header table only for what is left. */
export const nativeBinding: AmqpBinding = { write, read }

/** Writes by the profile of each message, and reads whatever workers of any profile answer. */
export function bindingWith(correlationHeader?: string): AmqpBinding {
  return withAmqpProfiles(nativeBinding, correlationHeader)
}

function write(message: EventMessage): AmqpContent {
  const { id, type, source, contentType, time, correlationId, replyTo } = message
  const isShort = fits(id) && fits(type) && fits(source) && fits(contentType)
  const properties: AmqpProperties = {
    messageId: isShort || fits(id) ? id : undefined,
    correlationId,
    type: isShort || fits(type) ? type : undefined,
    timestamp: Math.floor(time / 1000),
    contentType: isShort || fits(contentType) ? contentType : undefined,
    appId: isShort || fits(source) ? source : undefined,
    replyTo,
    deliveryMode: 2,
    headers: headersOf(message, isShort),
  }
  return { properties, body: message.body }
}

/** Most messages get no table at all: six headers in one cost a third of the throughput. */
function headersOf(message: EventMessage, isShort: boolean): Readonly<Record<string, unknown>> | undefined {
  let table: Record<string, unknown> | undefined
  const set = (name: string, value: unknown): void => {
    table ??= Object.create(null) as Record<string, unknown>
    table[name] = value
  }
  for (const name in message.headers) set(wireName(name), message.headers[name])
  for (const [field, name] of FIELDS) if (message[field] !== undefined) set(name, message[field])
  if (message.causationId !== usualCause(message)) set('ra-cause', message.causationId ?? '')
  if (message.time !== timeFrom(message.id, Math.floor(message.time / 1000))) set(TIME, message.time)
  if (!isShort)
    for (const [field, name] of Object.entries(LONG)) setLong(message[field as keyof typeof LONG], name, set)
  return table
}

function setLong(value: string, name: string, set: (name: string, value: unknown) => void): void {
  if (!fits(value)) set(name, value)
}

function fits(text: string): boolean {
  // Three bytes a character is the most that UTF-8 needs, so short texts are not measured.
  return text.length * 3 <= SHORT || Buffer.byteLength(text) <= SHORT
}

/** A result is caused by its request, whose id is the correlation id; anything else needs a header. */
function usualCause({ id, correlationId }: Pick<EventMessage, 'id' | 'correlationId'>): string | undefined {
  return correlationId === id ? undefined : correlationId
}

/** The property has seconds only; our ids tell the milliseconds of the same second. */
function timeFrom(id: string, seconds: number): number {
  const made = timeOfId(id)
  return made !== undefined && Math.floor(made / 1000) === seconds ? made : seconds * 1000
}

function read({ properties, body }: AmqpContent, surroundings: Surroundings): EventMessage {
  const table = properties.headers
  const correlationId = text(properties.correlationId)
  const type = text(properties.type) ?? header(table, LONG.type) ?? surroundings.type
  const id = text(properties.messageId) ?? header(table, LONG.id) ?? idOf({ correlationId, type, body })
  const cause = header(table, 'ra-cause')
  return {
    id,
    type,
    source: text(properties.appId) ?? header(table, LONG.source) ?? '',
    time: readTime(id, properties, surroundings.now),
    correlationId,
    causationId: cause === undefined ? usualCause({ id, correlationId }) : cause === '' ? undefined : cause,
    key: header(table, 'ra-key'),
    traceparent: header(table, 'traceparent'),
    tracestate: header(table, 'tracestate'),
    tenant: header(table, 'ra-tenant'),
    dataSchema: header(table, 'ra-schema'),
    headers: readHeaders(table),
    contentType: text(properties.contentType) ?? header(table, LONG.contentType) ?? 'application/json',
    body,
    replyTo: text(properties.replyTo),
  }
}

function readTime(id: string, { timestamp, headers }: AmqpProperties, now: number): number {
  const exact = headers === undefined || !Object.hasOwn(headers, TIME) ? undefined : headers[TIME]
  if (typeof exact === 'number') return exact
  return typeof timestamp === 'number' ? timeFrom(id, timestamp) : now
}

function header(table: AmqpProperties['headers'], name: string): string | undefined {
  return table !== undefined && Object.hasOwn(table, name) ? text(table[name]) : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The same for each copy of a message without an id, so that its second copy is known as the same event. */
function idOf({ correlationId, type, body }: Pick<EventMessage, 'correlationId' | 'type' | 'body'>): string {
  const hash = createHash('sha256').update(JSON.stringify([correlationId ?? null, type]))
  return hash.update(body).digest('hex').slice(0, 32)
}
