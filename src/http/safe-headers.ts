import { isFieldText, isToken } from './scan.js'

/** Which absolute locations are on our own site; without either only path-absolute ones are. */
export interface LocationOptions {
  readonly publicUrl?: string
  /** More origins that a location may lead to, such as `https://files.example.com`. */
  readonly allowedOrigins?: readonly string[]
}

function percentEncode(run: string): string {
  // A lone surrogate has no UTF-8 form, and encodeURIComponent throws on it.
  return encodeURIComponent(run.replace(/\p{Surrogate}/gu, '\ufffd'))
}

function onSite(value: string, { publicUrl, allowedOrigins = [] }: LocationOptions): string | undefined {
  if (!URL.canParse(value)) return undefined
  const url = new URL(value)
  const origins = publicUrl === undefined ? allowedOrigins : [...allowedOrigins, publicUrl]
  // Credentials before the host make a link look like another one's.
  if (!/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return undefined
  return origins.some((origin) => new URL(origin).origin === url.origin) ? url.href : undefined
}

// Nearly every location: nothing to encode, and no two slashes in a row.
const PLAIN_PATH = /^\/[\w.~-]+(?:\/[\w.~-]+)*$/

/**
 * Makes a value fit for `Location` and its like, percent-encoding what a URI cannot hold; undefined when it must not
 * be sent: with a line break, or leading off this site. `//host` and `/\host` are other hosts to a browser.
 */
export function encodeLocation(value: string, options: LocationOptions = {}): string | undefined {
  if (PLAIN_PATH.test(value)) return value
  if (/[\r\n]/.test(value)) return undefined
  if (!value.startsWith('/')) return onSite(value, options)
  if (value[1] === '/' || value[1] === '\\') return undefined
  return value.replace(/[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+|%(?![\dA-Fa-f]{2})/g, percentEncode)
}

// Framing belongs to the server (RFC 9110 section 7.6.1), cookies and redirects to nobody behind the gateway.
const FORBIDDEN = new Set([
  'connection',
  'content-length',
  'content-location',
  'expect',
  'host',
  'keep-alive',
  'location',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'refresh',
  'set-cookie',
  'set-cookie2',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * Tells whether a header made from a result may be put on an answer: not one that frames the message, sets a cookie
 * or redirects (`encodeLocation` is the way for these), and nothing that Node would refuse to write.
 */
export function isSafeHeader(name: string, value: unknown): value is string {
  return isToken(name) && !FORBIDDEN.has(name.toLowerCase()) && typeof value === 'string' && isFieldText(value)
}

// What says something about the answer and nothing to servers, caches of others or browsers' gates.
const ANSWER_HEADERS = new Set([
  'cache-control',
  'content-disposition',
  'content-language',
  'content-type',
  'deprecation',
  'etag',
  'expires',
  'last-modified',
  'link',
  'retry-after',
  'sunset',
  'vary',
])
const OWN_HEADER = /^(?:x-(?!accel-|sendfile|forwarded|original|rewrite|content-type-options)|ratelimit)/

/**
 * Tells whether an outcome may set a header: those that describe an answer, and names of one's own (`x-…`). Everything
 * else belongs to the gateway, to the server or to what stands in front of it.
 */
export function isAnswerHeader(name: string, value: unknown): value is string {
  const lower = name.toLowerCase()
  return isSafeHeader(name, value) && (ANSWER_HEADERS.has(lower) || OWN_HEADER.test(lower))
}

/**
 * A body as it may be written beside these headers: Node writes a text together with the head, both in UTF-8, which
 * would change a head that has more than ASCII in it; bytes go out on their own.
 */
export function besideHead<Body>(body: Body, headers: Readonly<Record<string, unknown>>): Body | Uint8Array {
  if (typeof body !== 'string') return body
  for (const name of Object.keys(headers)) if (!/^[\t -~]*$/.test(String(headers[name]))) return Buffer.from(body)
  return body
}

function joined(existing: string | readonly string[] | undefined): string {
  return typeof existing === 'string' ? existing : (existing ?? []).join(', ')
}

/** Adds field names to a `Vary` that the application may have set; none is named twice, in whatever case. */
export function appendVary(existing: string | readonly string[] | undefined, ...names: readonly string[]): string {
  const fields: string[] = []
  for (const field of [...joined(existing).split(','), ...names].map((name) => name.trim())) {
    if (field === '*') return '*'
    if (field !== '' && !fields.some((known) => known.toLowerCase() === field.toLowerCase())) fields.push(field)
  }
  return fields.join(', ')
}

/** Adds a link-value behind those that the application set (RFC 8288). */
export function appendLink(existing: string | readonly string[] | undefined, link: string): string {
  const before = joined(existing)
  return before === '' ? link : `${before}, ${link}`
}

/** Tells whether a number can be the status of a final answer made from a result: 200 to 599, but not 206 or 304. */
export function isAnswerStatus(status: unknown): status is number {
  return Number.isInteger(status) && Number(status) >= 200 && Number(status) <= 599 && status !== 206 && status !== 304
}

/** Tells whether an answer of this status must have no body (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 205 || status === 304
}
