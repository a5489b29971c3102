import { type EventMessage, isJson } from '../../core/event.js'
import { membersOf } from './json.js'

/** CloudEvents 1.0 attributes by their names. */
export type Attributes = ReadonlyMap<string, string>

const REQUIRED = ['id', 'source', 'specversion', 'type'] as const
/** Attributes that are fields of the envelope, extensions included; each field is one attribute. */
const FIELDS = {
  id: 'id',
  source: 'source',
  type: 'type',
  dataSchema: 'dataschema',
  correlationId: 'correlationid',
  causationId: 'causationid',
  key: 'partitionkey',
  tenant: 'tenant',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
} as const satisfies Partial<Record<keyof EventMessage, string>>

const ATTRIBUTES: ReadonlySet<string> = new Set([...Object.values(FIELDS), 'specversion', 'time', 'datacontenttype'])

/** Of an event all that CloudEvents has a name for. */
export function toAttributes(message: EventMessage): Attributes {
  const attributes = new Map([['specversion', '1.0']])
  for (const [field, name] of Object.entries(FIELDS)) {
    const value = message[field as keyof typeof FIELDS]
    if (value !== undefined) attributes.set(name, value)
  }
  const expiry = expiryOf(message)
  if (expiry !== undefined) attributes.set(EXPIRY, expiry)
  return attributes.set('time', new Date(message.time).toISOString())
}

/** The attribute of `expiryOf`; to a reader it is a header like any other. */
export const EXPIRY = 'expirytime'

/** When nobody awaits the result of a request any longer. */
export function expiryOf({ time, profile }: EventMessage): string | undefined {
  return profile?.lifetimeMs === undefined ? undefined : new Date(time + profile.lifetimeMs).toISOString()
}

/** True when the four that every event has are there; without them it is no CloudEvent. */
export function isCloudEvent(attributes: Attributes): boolean {
  return REQUIRED.every((name) => (attributes.get(name) ?? '') !== '')
}

/** The fields of the envelope; `causationid` ties an event to its request where there is no `correlationid`. */
export function fromAttributes(attributes: Attributes): Partial<EventMessage> {
  const fields: Partial<Record<keyof typeof FIELDS | 'time', string | number>> = {}
  for (const [field, name] of Object.entries(FIELDS)) {
    const value = attributes.get(name)
    if (value !== undefined) fields[field as keyof typeof FIELDS] = value
  }
  const time = Date.parse(attributes.get('time') ?? '')
  if (!Number.isNaN(time)) fields.time = time
  if (fields.correlationId === undefined && fields.causationId !== undefined) fields.correlationId = fields.causationId
  return fields as Partial<EventMessage>
}

/** Whether the attribute is a field of the envelope, and no header. */
export function isAttribute(name: string): boolean {
  return ATTRIBUTES.has(name)
}

/** True for the content type of an event that is JSON as a whole. Batches are not read: nobody has asked for them. */
export function isStructured(contentType: string | undefined): boolean {
  return /^application\/cloudevents\+json\s*(?:;|$)/i.test(contentType ?? '')
}

/**
 * Reads an event that is JSON as a whole; its data keep every digit. Undefined when it is no JSON, or lacks what every
 * event has.
 */
export function readStructured(body: Uint8Array): Partial<EventMessage> | undefined {
  const members = membersOf(body)
  const attributes = new Map<string, string>()
  for (const [name, json] of members ?? []) {
    if (name !== 'data' && name !== 'data_base64') attributes.set(name, attributeText(json))
  }
  const data = dataOf(members, attributes.get('datacontenttype'))
  return data !== undefined && isCloudEvent(attributes) ? { ...fromAttributes(attributes), ...data } : undefined
}

function attributeText(json: string): string {
  const value: unknown = JSON.parse(json)
  return typeof value === 'string' ? value : json
}

function dataOf(members: ReadonlyMap<string, string> | undefined, contentType = 'application/json') {
  const base64 = members?.get('data_base64')
  if (base64 === undefined) return { contentType, body: bodyOf(members?.get('data') ?? 'null', contentType) }
  const text: unknown = JSON.parse(base64)
  return typeof text === 'string' ? { contentType, body: Buffer.from(text, 'base64') } : undefined
}

/** CloudEvents JSON format, section 3.1.1: of a type that is no JSON, a text is the data themselves. */
function bodyOf(json: string, contentType: string): Buffer {
  return Buffer.from(isJson(contentType) || !json.startsWith('"') ? json : JSON.parse(json))
}
