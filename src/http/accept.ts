import { type Cursor, readList, readParameters, readToken, skipChar } from './scan.js'

interface MediaType {
  readonly type: string
  readonly subtype: string
  readonly params: ReadonlyMap<string, string>
}

// More than any client sends; what stands behind them is not looked at.
const MAX_RANGES = 64

// `.5` is outside the grammar, but Java's HttpURLConnection sends `q=.2`.
const WEIGHT = /^(?:0|0?\.\d+|0\.|1(?:\.0*)?)$/

function readMediaType(cursor: Cursor): MediaType | undefined {
  const type = readToken(cursor).toLowerCase()
  const subtype = skipChar(cursor, '/') ? readToken(cursor).toLowerCase() : ''
  const params = type === '' || subtype === '' ? undefined : readParameters(cursor)
  return params && { type, subtype, params }
}

/** A media range with its weight; `rank` counts how specific it is. */
interface Range {
  readonly media: MediaType
  readonly weight: number
  readonly rank: number
}

// All our types are UTF-8 text, so that a charset excludes nothing; `q` is the weight wherever it stands.
function isDemand(name: string): boolean {
  return name !== 'q' && name !== 'charset'
}

function readRange(cursor: Cursor): Range | undefined {
  const media = readMediaType(cursor)
  if (media === undefined || (media.type === '*' && media.subtype !== '*')) return undefined
  const weight = media.params.get('q') ?? '1'
  const demands = media.params.size === 0 ? 0 : [...media.params.keys()].filter(isDemand).length
  const rank = (media.type === '*' ? 0 : 1) + (media.subtype === '*' ? 0 : 1) + demands
  return WEIGHT.test(weight) ? { media, weight: Number(weight), rank } : undefined
}

function matches(range: MediaType, { type, subtype, params }: MediaType): boolean {
  if (range.type !== '*' && range.type !== type) return false
  if (range.subtype !== '*' && range.subtype !== subtype) return false
  for (const [name, value] of range.params) if (isDemand(name) && params.get(name) !== value) return false
  return true
}

/** The range that decides about a type: of those that match, the most specific one, and of equals the first. */
function rangeFor(offer: string, ranges: readonly Range[]): Range | undefined {
  const [media] = readList(offer, readMediaType, 1)
  let best: Range | undefined
  for (const range of ranges) {
    if (media !== undefined && range.rank > (best?.rank ?? -1) && matches(range.media, media)) best = range
  }
  return best
}

function isBetter(a: Range, b: Range): boolean {
  return a.weight === b.weight ? a.rank > b.rank : a.weight > b.weight
}

/**
 * Picks the offered media type that a request likes best (RFC 9110 section 12.5.1); undefined when it excludes all.
 * Among equals the one named more precisely wins, then the one offered first. A header without a usable range is as
 * good as none: everything goes.
 */
export function selectMediaType(accept: string | undefined, offered: readonly string[]): string | undefined {
  if (accept === undefined || accept === '*/*') return offered[0]
  if (offered.includes(accept)) return accept
  const ranges = readList(accept, readRange, MAX_RANGES)
  if (ranges.length === 0) return offered[0]
  let chosen: { offer: string; range: Range } | undefined
  for (const offer of offered) {
    const range = rangeFor(offer, ranges)
    if (range === undefined || range.weight === 0) continue
    if (chosen === undefined || isBetter(range, chosen.range)) chosen = { offer, range }
  }
  return chosen?.offer
}

/** Tells whether a `Content-Type` announces JSON that we read: `application/json` or `+json`, in UTF-8. */
export function isJsonMediaType(contentType: string | undefined): boolean {
  if (contentType === 'application/json') return true
  const [media, ...more] = readList(contentType ?? '', readMediaType, 2)
  if (media === undefined || more.length > 0) return false
  const isJson = media.subtype.endsWith('+json') || (media.type === 'application' && media.subtype === 'json')
  return isJson && /^utf-?8$/i.test(media.params.get('charset') ?? 'utf-8')
}
