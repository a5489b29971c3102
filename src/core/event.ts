import { isUtf8 } from 'node:buffer'
import type { Clock } from './clock.js'
import { GatewayError } from './errors.js'
import { createId } from './ids.js'
import type { Profile, ReplyNote } from './profile.js'

/** What every event says about itself, whatever carries it. */
export interface Envelope {
  readonly id: string
  readonly type: string
  /** Who published it. */
  readonly source: string
  /** When it happened, in milliseconds since the epoch. */
  readonly time: number
  /** Ties result events to their request event; equal to the operation's id. */
  readonly correlationId?: string | undefined
  /** The id of the event that caused this one. */
  readonly causationId?: string | undefined
  /** Events with the same key keep their order. */
  readonly key?: string | undefined
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  readonly tenant?: string | undefined
  readonly dataSchema?: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** An event on its way: the envelope and the bytes of its data, which nobody parses before somebody asks. */
export interface EventMessage extends Envelope {
  readonly contentType: string
  readonly body: Uint8Array
  /** Where the results of this request event should go, as the transport of the gateway wrote it. */
  readonly replyTo?: string | undefined
  /** How this request event is written for its worker. @default native */
  readonly profile?: Profile | undefined
  /** On an answer that is no event, and names no type: what it says of itself. */
  readonly reply?: ReplyNote | undefined
  /** True when its body was to say what it is, and cannot be read: only what is beside the body is known. */
  readonly isUnreadable?: boolean | undefined
}

/** An event as application code sees it. */
export interface Event<Type extends string = string, Data = unknown> extends Envelope {
  readonly type: Type
  readonly data: Data
  /** The data as they came, for answers that must keep every digit. */
  readonly body: Uint8Array
  readonly contentType: string
}

/** What the maker of an event gives; the rest of the envelope is filled in. */
export type EventInit = Pick<EventMessage, 'type' | 'source'> & {
  readonly [Name in Exclude<keyof EventMessage, 'type' | 'source' | 'isUnreadable'>]?: EventMessage[Name] | undefined
} & { readonly data?: unknown }

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze(Object.create(null))

/**
 * Makes a message out of data, or out of a body that is encoded already.
 * @throws GatewayError ERR_INVALID_INPUT when the data have no JSON form.
 */
export function toMessage(init: EventInit, clock: Clock): EventMessage {
  const time = init.time ?? clock.now()
  // Field by field: spreading the init costs ten times as much, and every request and result comes through here.
  return {
    id: init.id ?? createId(time),
    type: init.type,
    source: init.source,
    time,
    correlationId: init.correlationId,
    causationId: init.causationId,
    key: init.key,
    traceparent: init.traceparent,
    tracestate: init.tracestate,
    tenant: init.tenant,
    dataSchema: init.dataSchema,
    headers: init.headers === undefined ? NO_HEADERS : copyHeaders(init.headers),
    replyTo: init.replyTo,
    profile: init.profile,
    reply: init.reply,
    contentType: init.contentType ?? 'application/json',
    body: init.body ?? encodeJson(init.data),
  }
}

/** Own keys only, on an object without prototype: a header called `__proto__` is then a header like any other. */
export function copyHeaders(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const copy: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(headers)) if (typeof value === 'string') copy[name] = value
  return copy
}

function encodeJson(data: unknown): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(data ?? null) ?? 'null')
  } catch (cause) {
    throw new GatewayError('ERR_INVALID_INPUT', 'The data of the event have no JSON form.', { cause })
  }
}

/** True for the media types whose bodies are read as JSON. */
export function isJson(contentType: string): boolean {
  return contentType === 'application/json' || /^application\/(?:[\w.!#$&^+-]+\+)?json\s*(?:;|$)/i.test(contentType)
}

/**
 * The data of a message: parsed JSON, or the bytes themselves for other content types.
 * @throws SyntaxError when a JSON body cannot be parsed, or the message itself cannot be read.
 */
export function parseData(message: Pick<EventMessage, 'body' | 'contentType' | 'isUnreadable'>): unknown {
  if (message.isUnreadable) throw new SyntaxError('The body does not say what event it is.')
  if (typeof message.contentType !== 'string') throw new SyntaxError('The message has no content type.')
  if (!isJson(message.contentType)) return message.body
  if (!isUtf8(message.body)) throw new SyntaxError('The body is not UTF-8.')
  return JSON.parse(textOf(message.body))
}

/** The text of a body in UTF-8. */
export function textOf(body: Uint8Array): string {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return bytes.toString('utf8')
}

/** The view of a message that application code gets; `data` is parsed on first use. */
class ReceivedEvent implements Event {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly time: number
  readonly correlationId: string | undefined
  readonly causationId: string | undefined
  readonly key: string | undefined
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  readonly tenant: string | undefined
  readonly dataSchema: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly contentType: string
  readonly #isUnreadable: boolean | undefined
  #parsed: { data: unknown } | undefined

  constructor(message: EventMessage) {
    this.id = message.id
    this.type = message.type
    this.source = message.source
    this.time = message.time
    this.correlationId = message.correlationId
    this.causationId = message.causationId
    this.key = message.key
    this.traceparent = message.traceparent
    this.tracestate = message.tracestate
    this.tenant = message.tenant
    this.dataSchema = message.dataSchema
    this.headers = message.headers
    this.body = message.body
    this.contentType = message.contentType
    this.#isUnreadable = message.isUnreadable
  }

  get data(): unknown {
    const { body, contentType } = this
    this.#parsed ??= { data: parseData({ body, contentType, isUnreadable: this.#isUnreadable }) }
    return this.#parsed.data
  }
}

/** Makes the view of a message; each view parses for itself, so that no reader can change what another one sees. */
export function toEvent(message: EventMessage): Event {
  return new ReceivedEvent(message)
}
