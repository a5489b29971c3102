import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../core/errors.js'
import { copyHeaders, type EventMessage, textOf } from '../core/event.js'
import type { Ending, Operation, OperationError } from '../core/operation.js'
import type { RecordWrite } from '../core/store.js'

/**
 * The version that is written. A reader knows it and the one before, so that instances of two releases can share a
 * store while one takes over from the other: a release that writes a new version comes after one that reads it.
 */
export const FORMAT = 1

/** What an operation is born with and keeps, apart from what a store looks at itself. */
export type Head = Pick<Operation, 'principal' | 'key' | 'idempotency'>

/** An event as JSON text: well-formed Unicode without control characters, whatever its headers and its body hold. */
export function encodeEvent(event: EventMessage): string {
  // Nearly all bodies are text, which is shorter than base64, and can be read by whoever looks into the database.
  const isText = isUtf8(event.body)
  // Field by field: spreading the event costs several times as much, and every request and result comes through here.
  return JSON.stringify({
    v: FORMAT,
    id: event.id,
    type: event.type,
    source: event.source,
    time: event.time,
    correlationId: event.correlationId,
    causationId: event.causationId,
    key: event.key,
    traceparent: event.traceparent,
    tracestate: event.tracestate,
    tenant: event.tenant,
    dataSchema: event.dataSchema,
    headers: event.headers,
    replyTo: event.replyTo,
    profile: event.profile,
    reply: event.reply,
    contentType: event.contentType,
    text: isText ? textOf(event.body) : undefined,
    base64: isText ? undefined : bytesOf(event.body).toString('base64'),
  })
}

/**
 * The event of a text, with every byte of its body.
 * @throws GatewayError ERR_INTERNAL for a format that this release does not know.
 */
export function decodeEvent(encoded: string): EventMessage {
  const fields = parse(encoded) as unknown as Omit<EventMessage, 'body'> & { text?: string; base64?: string }
  // Field by field: all events have the same properties in the same order, wherever they come from.
  return {
    id: fields.id,
    type: fields.type,
    source: fields.source,
    time: fields.time,
    correlationId: fields.correlationId,
    causationId: fields.causationId,
    key: fields.key,
    traceparent: fields.traceparent,
    tracestate: fields.tracestate,
    tenant: fields.tenant,
    dataSchema: fields.dataSchema,
    headers: copyHeaders(fields.headers),
    replyTo: fields.replyTo,
    profile: fields.profile,
    reply: fields.reply,
    contentType: fields.contentType,
    body: fields.base64 === undefined ? Buffer.from(fields.text ?? '') : Buffer.from(fields.base64, 'base64'),
  }
}

/** The unchanging part of an operation as JSON text. */
export function encodeHead({ principal, key, idempotency }: Head): string {
  return JSON.stringify({ v: FORMAT, principal, key, idempotency })
}

/** @throws GatewayError ERR_INTERNAL for a format that this release does not know. */
export function decodeHead(encoded: string): Head {
  const { principal, key, idempotency } = parse(encoded) as Head
  return { principal, key, idempotency }
}

/** How many bytes an ending brings, of its result and of the records that are written with it. */
export function bytesOfEnding(call: { readonly ending: Ending; readonly records: readonly RecordWrite[] }): number {
  const own = 'result' in call.ending ? call.ending.result.body.byteLength : 0
  return call.records.reduce((sum, { value }) => sum + value.byteLength, own)
}

/** Why an operation ended without a result, as JSON text. */
export function encodeError({ code, message }: OperationError): string {
  return JSON.stringify({ v: FORMAT, code, message })
}

/** @throws GatewayError ERR_INTERNAL for a format that this release does not know. */
export function decodeError(encoded: string): OperationError {
  const { code, message } = parse(encoded) as unknown as OperationError
  return { code, message }
}

function parse(encoded: string): Record<string, unknown> {
  const fields = JSON.parse(encoded) as Record<string, unknown>
  const version = fields['v']
  if (version === FORMAT || version === FORMAT - 1) return fields
  const text = `What is stored has format ${String(version)}; this release reads ${FORMAT - 1} and ${FORMAT}.`
  throw new GatewayError('ERR_INTERNAL', text)
}

function bytesOf(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
