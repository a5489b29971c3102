import { copyHeaders } from '../../core/event.js'
import type { AmqpProperties } from './amqp-wire.js'
import { isAttribute } from './cloudevents.js'

/** Begins the names of the headers that are ours. */
const OURS = 'ra-'
const ESCAPED = 'ra-header-'
/** An exact time, for ids that do not tell it: the name is that of RabbitMQ's own plugin for time stamps. */
export const TIME = 'timestamp_in_ms'

/** Envelope fields that have no basic property; each header is there only when its field is. */
export const FIELDS = [
  ['key', 'ra-key'],
  ['tenant', 'ra-tenant'],
  ['dataSchema', 'ra-schema'],
  ['traceparent', 'traceparent'],
  ['tracestate', 'tracestate'],
] as const

/**
 * Header names that may not stand on the wire as they are. Of `__proto__` amqplib makes no key, `CC` and `BCC` make the
 * broker send copies, or close the channel when they are text, and the others are read as something else.
 */
const RESERVED = new Set(
  ['__proto__', 'CC', 'BCC', 'x-delivery-count', 'x-stream-offset', TIME].concat(FIELDS.map(([, name]) => name)),
)

/** The AMQP 1.0 binding of CloudEvents, section 3.1.3.1; RabbitMQ turns its application properties into headers. */
export const ATTRIBUTES = ['cloudEvents_', 'cloudEvents:'] as const

/** The name that an application's header has in the table, so that it comes back as what it was. */
export function wireName(name: string): string {
  const isTaken = name.startsWith(OURS) || RESERVED.has(name) || isOfEnvelope(name)
  return isTaken ? ESCAPED + name : name
}

/** Extensions that are not ours an application may well set. */
function isOfEnvelope(name: string): boolean {
  const prefix = ATTRIBUTES.find((one) => name.startsWith(one))
  return prefix !== undefined && isAttribute(name.slice(prefix.length))
}

const NO_HEADERS = copyHeaders({})

/** Text alone, without what is ours; a `__proto__` that amqplib has made the prototype is not among the own keys. */
export function readHeaders(table: AmqpProperties['headers']): Readonly<Record<string, string>> {
  if (table === undefined || table === null) return NO_HEADERS
  const headers: Record<string, string> = Object.create(null)
  for (const name of Object.keys(table)) {
    const value = table[name]
    if (typeof value !== 'string' || RESERVED.has(name)) continue
    if (name.startsWith(ESCAPED)) headers[name.slice(ESCAPED.length)] = value
    else if (!name.startsWith(OURS)) headers[name] = value
  }
  return headers
}
