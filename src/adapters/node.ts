import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { collectBody } from '../http/body.js'
import { appendLink, appendVary, besideHead } from '../http/safe-headers.js'
import type { HttpReply, HttpRequest } from '../http/types.js'

/** What a framework knows of a request beside the message itself. */
export interface Routed {
  /** Path and query as the client sent them. */
  readonly url: string
  readonly params: unknown
  /** Where body parsers leave what they made, if only the bytes; looked at when something has read the body. */
  readonly body: unknown
  /** The framework's request. */
  readonly raw: unknown
}

type HeaderValue = number | string | string[] | undefined

/** Translates a request of node:http, or of the compatibility layer of node:http2. */
export function toHttpRequest(message: IncomingMessage, response: ServerResponse, routed: Routed): HttpRequest {
  // Some parsers leave an object behind even where they have not read the body, so the body itself is asked.
  const taken = message.readableDidRead || message.readableEnded ? routed.body : undefined
  const bytes = taken instanceof Uint8Array ? [taken] : undefined
  const body = bytes === undefined ? taken : undefined
  return {
    method: message.method ?? 'GET',
    // RFC 9112 section 3.2.2: a server must take the absolute form too.
    url: routed.url.startsWith('/') ? routed.url : routed.url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, ''),
    params: toParams(routed.params),
    headers: message.headers,
    body,
    readBody: body === undefined && mayHaveBody(message) ? (limit) => readBody(message, limit, bytes) : undefined,
    onGone: (listener) => onGone(response, listener),
    raw: routed.raw,
  }
}

/** Writes an answer, unless the client has left or something else has answered. Resolves when a stream has ended. */
export async function writeReply(response: ServerResponse, reply: HttpReply): Promise<void> {
  if (response.destroyed || response.headersSent) return
  response.statusCode = reply.status
  eachHeader(reply, response.req, (name, value) => response.setHeader(name, mergeHeader(name, value, response)))
  if (reply.stream === undefined) {
    response.end(besideHead(reply.body, response.getHeaders()))
    return
  }
  response.flushHeaders()
  // A stream that breaks, or a client that leaves, ends the connection: an event stream has no other way to tell.
  await pipeline(Readable.from(reply.stream), response).catch(() => {})
}

/** What is written as the body: a stream of chunks, or what can be written beside these headers. */
export function payloadOf({ body, stream }: HttpReply, headers: Readonly<Record<string, unknown>>) {
  return stream ? Readable.from(stream) : besideHead(body, headers)
}

/** A text as it is, and everything else as JSON. */
export function toText(made: unknown): string {
  return typeof made === 'string' ? made : JSON.stringify(made)
}

/** Goes through the headers of an answer on its connection; only HTTP/1 knows `Connection`. */
export function eachHeader(
  { headers, closeConnection }: HttpReply,
  message: IncomingMessage,
  set: (name: string, value: string) => void,
): void {
  for (const name of Object.keys(headers)) set(name, headers[name] as string)
  if (closeConnection && message.httpVersionMajor === 1) set('connection', 'close')
}

/** Adds to the lists that something in front may have begun, and replaces every other header. */
export function mergeHeader(name: string, value: string, head: { getHeader(name: string): HeaderValue }): string {
  // Only of these is it asked: every answer comes through with all its headers.
  if (name !== 'vary' && name !== 'link') return value
  const before = head.getHeader(name)
  if (before === undefined || typeof before === 'number') return value
  return name === 'vary' ? appendVary(before, ...value.split(',')) : appendLink(before, value)
}

/** RFC 9112 section 6.3: without either header an HTTP/1 request has no body; in HTTP/2 it may have one all the same. */
function mayHaveBody({ headers, httpVersionMajor }: IncomingMessage): boolean {
  return httpVersionMajor > 1 || headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

/** Optional parameters of Express may be undefined, and its wildcards are lists of path segments. */
function toParams(given: unknown): Record<string, string> {
  const params: Record<string, string> = {}
  if (given === undefined || given === null) return params
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) params[name] = Array.isArray(value) ? value.join('/') : String(value)
  }
  return params
}

async function readBody(message: IncomingMessage, limit: number, bytes?: readonly Uint8Array[]): Promise<Uint8Array> {
  const chunks = bytes ?? message.iterator({ destroyOnReturn: false })
  try {
    return await collectBody(chunks, limit, message.headers['content-length'])
  } finally {
    // What is too long is still read, and dropped, so that the connection can carry the answer and the next request.
    message.resume()
  }
}

/** A request's own `close` tells only that it has been read; a client that left closes the response unfinished. */
function onGone(response: ServerResponse, listener: () => void): () => void {
  const closed = () => {
    if (!response.writableFinished) listener()
  }
  if (response.destroyed) closed()
  else response.on('close', closed)
  return () => response.off('close', closed)
}
