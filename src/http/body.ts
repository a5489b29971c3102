import { GatewayError, isGatewayError } from '../core/errors.js'
import { isJsonMediaType } from './accept.js'
import type { HttpSettings } from './settings.js'
import type { HttpRequest } from './types.js'

/**
 * The parsed body of a request, at once where a parser has run in front; undefined when there is none.
 * @throws GatewayError ERR_UNSUPPORTED_MEDIA_TYPE, ERR_BODY_TOO_LARGE or ERR_MALFORMED_BODY.
 */
export function readBody(request: HttpRequest, settings: HttpSettings): unknown {
  if (!hasBody(request)) return undefined
  assertReadable(request)
  return request.readBody === undefined ? request.body : parseBody(request, request.readBody(settings.bodyLimit))
}

async function parseBody(request: HttpRequest, reading: Promise<Uint8Array>): Promise<unknown> {
  const bytes = await reading
  if (bytes.byteLength === 0) return assertUntaken(request)
  if (headerOf(request, 'content-type') === undefined) throw unsupported()
  try {
    // A byte order mark is not part of the JSON, and what is no UTF-8 is no JSON (RFC 8259 section 8.1).
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new GatewayError('ERR_MALFORMED_BODY', 'The body is not valid JSON.', { cause })
  }
}

/** One value of a header; several lines are joined as HTTP joins them. */
export function headerOf({ headers }: HttpRequest, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'object' ? value.join(', ') : value
}

function hasBody(request: HttpRequest): boolean {
  const length = headerOf(request, 'content-length')
  if (length !== undefined) return Number(length) !== 0
  return (
    request.body !== undefined || request.headers['transfer-encoding'] !== undefined || request.readBody !== undefined
  )
}

function assertReadable(request: HttpRequest): void {
  const contentType = headerOf(request, 'content-type')
  const isStreaming = request.headers['content-length'] === undefined
  // A request without a length may turn out to have no body at all: then it needs no type either.
  if (contentType === undefined && isStreaming && request.headers['transfer-encoding'] === undefined) return
  if (!isJsonMediaType(contentType)) throw unsupported()
  const encoding = headerOf(request, 'content-encoding')
  if (request.readBody !== undefined && encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    const headers = { 'accept-encoding': 'identity' }
    throw new GatewayError('ERR_UNSUPPORTED_MEDIA_TYPE', 'Send the body without a content coding.', { headers })
  }
}

/**
 * Gathers a body of up to `limit` bytes; `length` is its `Content-Length`, so that one too long is not even begun.
 * @throws GatewayError ERR_BODY_TOO_LARGE, or ERR_MALFORMED_BODY when it breaks off.
 */
export async function collectBody(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limit: number,
  length?: string,
): Promise<Uint8Array> {
  const collected: Uint8Array[] = []
  let size = 0
  if (Number(length ?? 0) > limit) throw tooLarge(limit)
  try {
    for await (const chunk of chunks) {
      size += chunk.byteLength
      if (size > limit) throw tooLarge(limit)
      collected.push(chunk)
    }
  } catch (cause) {
    if (isGatewayError(cause)) throw cause
    throw new GatewayError('ERR_MALFORMED_BODY', 'The body has broken off.', { cause })
  }
  return Buffer.concat(collected, size)
}

function unsupported(): GatewayError {
  const headers = { accept: 'application/json' }
  return new GatewayError('ERR_UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json.', { headers })
}

function tooLarge(limit: number): GatewayError {
  return new GatewayError('ERR_BODY_TOO_LARGE', `The body is longer than ${limit} bytes.`)
}

/** A body that was announced and is not there has been read by something in front that has left nothing behind. */
function assertUntaken({ headers }: HttpRequest): undefined {
  if (!(Number(headers['content-length']) > 0)) return undefined
  throw new GatewayError('ERR_CONFIG', 'The request body has been read already, and what it holds was not handed on.')
}
