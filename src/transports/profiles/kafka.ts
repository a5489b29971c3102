import type { EventMessage } from '../../core/event.js'
import { copiedHeaders, correlationOf, type Found, headerText, nothing, ONE_VALUE, UNDEFINED } from './answer.js'
import { EXPIRY, expiryOf, isStructured, readStructured } from './cloudevents.js'
import type { Header, IncomingRecord, KafkaBinding, OutgoingRecord } from './kafka-wire.js'
import { NEST_END, NEST_ERROR, readMarkers } from './nest.js'
import { readTypeId, TYPE_ID } from './spring.js'

const CORRELATION_ID = 'kafka_correlationId'
const REPLY_TOPIC = 'kafka_replyTopic'
const REPLY_PARTITION = 'kafka_replyPartition'
const ZILLA_ID = 'zilla:correlation-id'
/** Where workers of several stacks put the id of the request, beside CloudEvents, which native reads. */
const CORRELATIONS = [CORRELATION_ID, ZILLA_ID, 'REPLY_CORRELATION_ID']
const OFFSET_DIGITS = 20

/**
 * A binding that also writes as other workers expect it, by the profile of the message, and reads what they answer,
 * whatever was asked: `native` is left what no other profile knows, CloudEvents in binary mode included.
 * `correlationHeader` is one more header that may carry the correlation id.
 */
export function withKafkaProfiles(native: KafkaBinding, correlationHeader?: string): KafkaBinding {
  const correlations = [...CORRELATIONS, ...copiedHeaders(correlationHeader)]
  return {
    name: native.name,
    toRecord(message, topic) {
      const { profile } = message
      if (profile === undefined) return native.toRecord(message, topic)
      const addressed = profile.answers === 'event' ? { ...message, replyTo: undefined } : message
      if (profile.name === 'spring' || profile.name === 'nest') return writeForeign(addressed, topic)
      const record = native.toRecord(addressed, topic)
      if (profile.name === 'native') return record
      const headers = new Map([...record.headers, ...expiryHeaders(message)])
      return { ...record, headers: addressedHeaders(headers, addressed) }
    },
    fromRecord(record, isAwaited = false) {
      const read = native.fromRecord(record)
      // Most results: nothing is left to look for.
      if (read.type !== '' && read.correlationId !== undefined && !isStructured(read.contentType)) return read
      const headers = lastOf(record.headers)
      const correlated = withCorrelation(read, headers, correlations)
      if (isStructured(headers.get('content-type')) && record.value !== null) {
        const fields = readStructured(record.value)
        if (fields !== undefined) return { ...read, ...fields }
        const type = isAwaited ? record.topic : read.type
        return { ...correlated, type, isUnreadable: true }
      }
      if (headers.has('ce_type')) return correlated
      return isAwaited ? { ...correlated, type: record.topic } : readForeign(record, correlated, headers)
    },
  }
}

/**
 * Spring and Nest take the same record: the bare data and the same names of headers. No partition: one of them wants it
 * as text and the other as four bytes, and each loses its answer in silence over the other form.
 */
function writeForeign(message: EventMessage, topic: string): OutgoingRecord {
  const { key, body, profile } = message
  const headers = new Map<string, Buffer>()
  for (const [name, value] of Object.entries(message.headers)) headers.set(name, Buffer.from(value))
  if (profile?.typeId !== undefined) headers.set(TYPE_ID, Buffer.from(profile.typeId))
  if (message.traceparent !== undefined) headers.set('traceparent', Buffer.from(message.traceparent))
  if (message.tracestate !== undefined) headers.set('tracestate', Buffer.from(message.tracestate))
  const value = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return { topic, key: key === undefined ? null : Buffer.from(key), value, headers: addressedHeaders(headers, message) }
}

function expiryHeaders(message: EventMessage): [string, Buffer][] {
  const expiry = expiryOf(message)
  return expiry === undefined ? [] : [[`ce_${EXPIRY}`, Buffer.from(expiry)]]
}

/**
 * Each header once: of two Spring takes the last, and Nest joins them. An application's own header by one of these names
 * would send the answer elsewhere.
 */
function addressedHeaders(headers: Map<string, Buffer>, { correlationId, replyTo }: EventMessage): [string, Buffer][] {
  for (const name of [CORRELATION_ID, REPLY_TOPIC, REPLY_PARTITION]) headers.delete(name)
  if (correlationId !== undefined) headers.set(CORRELATION_ID, Buffer.from(correlationId))
  if (replyTo !== undefined) headers.set(REPLY_TOPIC, Buffer.from(replyTo))
  return [...headers]
}

/** Of several headers with one name the last one counts. */
function lastOf(headers: readonly Header[]): ReadonlyMap<string, string> {
  return new Map(headers.map(([name, value]) => [name, headerText(value) ?? '']))
}

function readForeign(record: IncomingRecord, read: EventMessage, headers: ReadonlyMap<string, string>): EventMessage {
  const found = foundIn(record, headers)
  const { topic, partition, offset } = record
  // Ids sort as the records do: of one answer several values may have the same time.
  const id = `${topic}/${partition}/${String(offset).padStart(OFFSET_DIGITS, '0')}`
  return { ...read, type: topic, ...found, id }
}

function withCorrelation(
  read: EventMessage,
  headers: ReadonlyMap<string, string>,
  names: readonly string[],
): EventMessage {
  const correlationId = read.correlationId ?? correlationOf((name) => headers.get(name), names) ?? read.causationId
  return { ...read, correlationId }
}

function foundIn({ key, value }: IncomingRecord, headers: ReadonlyMap<string, string>): Found {
  const isLast = headers.has(NEST_END)
  const error = headers.get(NEST_ERROR)
  if (isLast || error !== undefined) return readMarkers(error, isLast, value === null)
  const typeId = headers.get(TYPE_ID)
  if (typeId !== undefined) return readTypeId(typeId, value)
  const status = headers.get(':status')
  if (headers.has(ZILLA_ID) && status !== undefined) return readStatus(Number(status), value === null)
  // One of several values of a Nest worker looks the same; only the last one says that it is.
  if (value !== null) return { reply: ONE_VALUE }
  // Nest answers without a key; a record that deletes another one has its key.
  return key === null && headers.has(CORRELATION_ID) ? UNDEFINED : {}
}

/** Zilla answers as HTTP does. */
function readStatus(status: number, isEmpty: boolean): Found {
  const failure = status >= 400 ? ('refused' as const) : undefined
  return isEmpty ? nothing({ isLast: true, failure }) : { reply: { isLast: true, isEmpty, failure } }
}
