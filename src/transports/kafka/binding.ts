import type { EventMessage } from '../../core/event.js'
import { withKafkaProfiles } from '../profiles/kafka.js'
import type { Header, IncomingRecord, KafkaBinding, OutgoingRecord } from '../profiles/kafka-wire.js'
import { commonHeader, timeHeader } from './encoded.js'

type Text = keyof Pick<
  EventMessage,
  | 'id'
  | 'type'
  | 'source'
  | 'correlationId'
  | 'causationId'
  | 'tenant'
  | 'dataSchema'
  | 'replyTo'
  | 'traceparent'
  | 'tracestate'
  | 'contentType'
>

/** The header of each field of the envelope: CloudEvents 1.0, binary mode; trace headers keep their W3C names. */
const HEADERS = {
  id: 'ce_id',
  type: 'ce_type',
  source: 'ce_source',
  correlationId: 'ce_correlationid',
  causationId: 'ce_causationid',
  tenant: 'ce_tenant',
  dataSchema: 'ce_dataschema',
  replyTo: 'ce_replyto',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  contentType: 'content-type',
} as const satisfies Record<Text, string>

const TIME = 'ce_time'
const VERSION = 'ce_specversion'
/** Fields whose values are the same in many records. */
const COMMON: ReadonlySet<Text> = new Set(['type', 'source', 'contentType', 'replyTo', 'dataSchema'])
type ToHeader<Value> = (value: Value) => OutgoingRecord['headers'][number]
const own =
  (name: string): ToHeader<string> =>
  (value) => [name, Buffer.from(value)]
const VERSION_1 = own(VERSION)('1.0')
const toTime: ToHeader<number> = timeHeader(TIME)
const FIELDS = (Object.entries(HEADERS) as [Text, string][]).map(
  ([field, name]) => [field, COMMON.has(field) ? commonHeader(name) : own(name)] as const,
)
const FIELD_OF: ReadonlyMap<string, Text> = new Map(
  (Object.entries(HEADERS) as [Text, string][]).map(([field, name]) => [name, field]),
)
/** Headers of the application cannot have these names, as readers would take them for the envelope. */
const RESERVED: ReadonlySet<string> = new Set([...FIELD_OF.keys(), TIME, VERSION])

/** The binding of workers that know this package, or CloudEvents: results need nothing but `ce_type` and the copy of `ce_correlationid`. */
export const native: KafkaBinding = { name: 'native', toRecord, fromRecord }

/** Writes by the profile of each message, and reads whatever workers of any profile answer. */
export function bindingWith(correlationHeader?: string): KafkaBinding {
  return withKafkaProfiles(native, correlationHeader)
}

function toRecord(message: EventMessage, topic: string): OutgoingRecord {
  const headers = [VERSION_1]
  for (const [field, toHeader] of FIELDS) {
    const value = message[field]
    if (value !== undefined) headers.push(toHeader(value))
  }
  headers.push(toTime(message.time))
  for (const [name, value] of Object.entries(message.headers)) {
    if (!RESERVED.has(name)) headers.push([name, Buffer.from(value)])
  }
  const key = message.key === undefined ? null : Buffer.from(message.key)
  return { topic, key, value: asBuffer(message.body), headers }
}

/** Takes any record: what it does not say is made up from where it stands, so that it is the same when read again. */
function fromRecord(record: IncomingRecord): EventMessage {
  const fields: Partial<Record<Text, string>> = {}
  const headers: Record<string, string> = Object.create(null)
  let time: number | undefined
  // The last of several headers with one name wins, as it does for Spring.
  for (const [name, value] of record.headers) {
    const text = textOf(value)
    const field = FIELD_OF.get(name)
    if (field !== undefined) fields[field] = text
    else if (name === TIME) time = Date.parse(text)
    else if (name !== VERSION) headers[name] = text
  }
  return {
    id: fields.id ?? `${record.topic}/${record.partition}/${record.offset}`,
    type: fields.type ?? '',
    source: fields.source ?? record.topic,
    time: time === undefined || Number.isNaN(time) ? record.timestamp : time,
    correlationId: fields.correlationId,
    causationId: fields.causationId,
    key: record.key === null ? undefined : textOf(record.key),
    traceparent: fields.traceparent,
    tracestate: fields.tracestate,
    tenant: fields.tenant,
    dataSchema: fields.dataSchema,
    replyTo: fields.replyTo,
    headers,
    contentType: fields.contentType ?? 'application/json',
    body: record.value ?? EMPTY,
  }
}

const EMPTY = new Uint8Array(0)

/** A header in UTF-8; null is empty. */
function textOf(value: Header[1]): string {
  return value === null ? '' : asBuffer(value).toString('utf8')
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
