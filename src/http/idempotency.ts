import { GatewayError } from '../core/errors.js'

const MAX_LENGTH = 255

// RFC 9651 section 3.3.3: printable ASCII, in which only the quote and the backslash are escaped.
const SF_STRING = /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"$/

// A comma or a space means that several lines were joined on the way; a quote, a string that was cut.
const BARE = /^[\x21\x23-\x2b\x2d-\x7e]+$/

function invalid(rule: string): GatewayError {
  return new GatewayError('ERR_IDEMPOTENCY_KEY_INVALID', `The Idempotency-Key ${rule}.`)
}

function decode(text: string, strict: boolean): string {
  // Before any pattern runs: twice the length for escapes, and two quotes.
  if (text.length > 2 * MAX_LENGTH + 2) throw invalid(`has more than ${MAX_LENGTH} characters`)
  if (SF_STRING.test(text)) return text.slice(1, -1).replace(/\\(.)/g, '$1')
  if (!strict && BARE.test(text)) return text
  throw invalid(
    strict ? 'must be one quoted string of printable ASCII' : 'must be one string of printable ASCII, quoted or bare',
  )
}

/**
 * Reads the `Idempotency-Key` of a request: a quoted Structured Field string or, unless `strict`, the same key bare.
 * Undefined without the header; throws `ERR_IDEMPOTENCY_KEY_INVALID` for several lines, an empty key, one over 255
 * characters or outside printable ASCII.
 */
export function readIdempotencyKey(
  header: string | readonly string[] | undefined,
  { strict = false }: { readonly strict?: boolean } = {},
): string | undefined {
  const [line, ...more] = typeof header === 'string' ? [header] : (header ?? [])
  if (line === undefined) return undefined
  if (more.length > 0) throw invalid('must come in one line')
  const key = decode(line, strict)
  if (key === '') throw invalid('must not be empty')
  if (key.length > MAX_LENGTH) throw invalid(`has more than ${MAX_LENGTH} characters`)
  return key
}
