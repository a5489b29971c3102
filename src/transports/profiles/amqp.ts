import { GatewayError } from '../../core/errors.js'
import { type EventMessage, textOf } from '../../core/event.js'
import { ATTRIBUTES, wireName } from './amqp-headers.js'
import type { AmqpBinding, AmqpContent, AmqpProperties, Surroundings } from './amqp-wire.js'
import { copiedHeaders, correlationOf, type Found, headerText, UNDEFINED, VALUE } from './answer.js'
import { fromAttributes, isAttribute, isCloudEvent, isStructured, readStructured, toAttributes } from './cloudevents.js'
import { envelopeBytes, readEnvelope, writeEnvelope } from './nest.js'
import { readTypeId, TYPE_ID } from './spring.js'

/** What the broker or the client library would take for an order to itself. */
const NOT_OURS = new Set(['__proto__', 'CC', 'BCC', 'x-delivery-count', 'x-stream-offset'])
const TAG_DIGITS = 15

/**
 * A binding that also writes as other workers expect it, by the profile of the message, and reads what they answer,
 * whatever was asked: `native` is left what no other profile knows. `correlationHeader` is one more header that may
 * carry the correlation id.
 */
export function withAmqpProfiles(native: AmqpBinding, correlationHeader?: string): AmqpBinding {
  const correlations = [...ATTRIBUTES.map((prefix) => `${prefix}correlationid`), ...copiedHeaders(correlationHeader)]
  const reading: Reading = { native, correlations }
  return {
    write(message) {
      const { profile } = message
      if (profile === undefined) return native.write(message)
      const addressed = profile.answers === 'event' ? { ...message, replyTo: undefined } : message
      return WRITERS[profile.name](addressed, native)
    },
    read(content, surroundings) {
      return readCloudEvent(content, surroundings, reading) ?? readOther(content, surroundings, reading)
    },
  }
}

type Writer = (message: EventMessage, native: AmqpBinding) => AmqpContent

const WRITERS: Readonly<Record<NonNullable<EventMessage['profile']>['name'], Writer>> = {
  native: (message, native) => native.write(message),
  cloudevents: (message) => {
    const headers = headersOf(message, wireName)
    for (const [name, value] of toAttributes(message)) headers[ATTRIBUTES[0] + name] = value
    return { properties: propertiesOf(message, headers), body: message.body }
  },
  spring: (message) => {
    checkReplyTo(message)
    const headers = headersOf(message)
    // As text: Spring does not understand it as bytes. Left out it does no harm, and a foreign one may.
    if (message.profile?.typeId !== undefined) headers[TYPE_ID] = message.profile.typeId
    return { properties: propertiesOf(message, headers), body: message.body }
  },
  nest: (message) => ({ properties: propertiesOf(message, headersOf(message)), body: writeEnvelope(message) }),
}

/** The size of the body that is written for a request. */
export function writtenBytes(message: EventMessage): number {
  return message.body.length + (message.profile?.name === 'nest' ? envelopeBytes(message) : 0)
}

/** Spring takes what is before a slash for an exchange, and closes the worker's channel when there is none. */
function checkReplyTo({ replyTo }: EventMessage): void {
  if (replyTo?.includes('/') !== true) return
  throw new GatewayError('ERR_CONFIG', `Spring cannot answer to "${replyTo}": a queue for replies may have no slash.`)
}

/** No content encoding: Spring takes it for a character set. No expiration: it would delete what a 202 has promised. */
function propertiesOf(message: EventMessage, headers: Readonly<Record<string, unknown>>): AmqpProperties {
  const { id, correlationId, type, time, contentType, source, replyTo } = message
  const timestamp = Math.floor(time / 1000)
  return {
    messageId: id,
    correlationId,
    type,
    timestamp,
    contentType,
    appId: source,
    replyTo,
    deliveryMode: 2,
    headers,
  }
}

/** Readers of CloudEvents may be ours, and get each header back; what others cannot have is left out. */
function headersOf(
  { headers, traceparent, tracestate }: EventMessage,
  nameOf: (name: string) => string = (name) => name,
): Record<string, unknown> {
  const table: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(headers)) {
    const written = nameOf(name)
    if (!NOT_OURS.has(written)) table[written] = value
  }
  if (traceparent !== undefined) table['traceparent'] = traceparent
  if (tracestate !== undefined) table['tracestate'] = tracestate
  return table
}

function readCloudEvent(
  content: AmqpContent,
  surroundings: Surroundings,
  { native, correlations }: Reading,
): EventMessage | undefined {
  const { properties, body } = content
  if (isStructured(properties.contentType)) {
    const read = native.read(content, surroundings)
    const fields = readStructured(body) ?? {
      correlationId: correlationIn(properties, correlations),
      isUnreadable: true,
    }
    return { ...read, ...fields }
  }
  const table = properties.headers
  // Most results have no headers at all.
  if (table === undefined || table === null) return undefined
  const attributes = new Map<string, string>()
  for (const name of Object.keys(table)) {
    const prefix = ATTRIBUTES.find((one) => name.startsWith(one))
    const value = headerText(table[name])
    if (prefix !== undefined && value !== undefined) attributes.set(name.slice(prefix.length), value)
  }
  if (!isCloudEvent(attributes)) return undefined
  const headers = withoutAttributes(table)
  const read = native.read({ body, properties: { ...properties, headers } }, surroundings)
  const { traceparent, tracestate } = read
  return { ...read, ...fromAttributes(attributes), traceparent, tracestate }
}

/** Before names are made again what they were: an application's header may be called like an attribute. */
function withoutAttributes(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept: Record<string, unknown> = Object.create(null)
  for (const name of Object.keys(table)) {
    const prefix = ATTRIBUTES.find((one) => name.startsWith(one))
    if (prefix === undefined || !isAttribute(name.slice(prefix.length))) kept[name] = table[name]
  }
  return kept
}

interface Reading {
  readonly native: AmqpBinding
  /** The headers in which the correlation id may be, in their order. */
  readonly correlations: readonly string[]
}

function readOther(content: AmqpContent, surroundings: Surroundings, { native, correlations }: Reading): EventMessage {
  const read = native.read(content, surroundings)
  const { properties } = content
  const get = headersIn(properties)
  const correlationId = correlationIn(properties, correlations)
  const found = surroundings.isAwaited ? unwrapped(content) : foundIn(content, get, read)
  if (found === undefined && correlationId === read.correlationId) return read
  const id = properties.messageId ?? tagged(read.id, found, surroundings)
  return { ...read, correlationId, ...found, id }
}

function headersIn({ headers }: AmqpProperties): (name: string) => string | undefined {
  const table = headers ?? {}
  return (name) => (Object.hasOwn(table, name) ? headerText(table[name]) : undefined)
}

function correlationIn(properties: AmqpProperties, correlations: readonly string[]): string | undefined {
  return properties.correlationId ?? correlationOf(headersIn(properties), correlations)
}

/** What makes an answer of another kind of worker; undefined for a message that says its type, or stands for one. */
function foundIn(
  { properties, body }: AmqpContent,
  get: (name: string) => string | undefined,
  read: EventMessage,
): Found | undefined {
  if (typeof properties.type === 'string') return undefined
  const typeId = get(TYPE_ID)
  if (typeId !== undefined) return readTypeId(typeId, body)
  // Nest says no content type; Spring always does.
  if (properties.contentType !== undefined) return read.type === '' ? { reply: VALUE } : undefined
  return readEnvelope(body) ?? (read.type === '' ? (isUndefined(body) ? UNDEFINED : { reply: VALUE }) : undefined)
}

/**
 * One of several values of a Nest worker that is `undefined`, of which JSON writes nothing at all: only where answers
 * alone arrive does an empty object say so. The last value, and the only one, are `{"isDisposed":true}` then.
 */
function isUndefined(body: Uint8Array): boolean {
  return body.length === 2 && textOf(body) === '{}'
}

/** An event of a Nest worker is in an envelope also where its routing key says it all. */
function unwrapped({ properties, body }: AmqpContent): Found | undefined {
  return properties.contentType === undefined && properties.type === undefined ? readEnvelope(body) : undefined
}

/** Equal values of one answer are several; other messages without an id are known again by their content. */
function tagged(id: string, found: Found | undefined, { tag }: Surroundings): string {
  if (found?.reply === undefined || tag === undefined) return id
  return `${String(tag).padStart(TAG_DIGITS, '0')}-${id}`
}
