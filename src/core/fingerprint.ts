import { createHash } from 'node:crypto'
import { GatewayError } from './errors.js'

// Far above any real input and far below what overflows the stack; it ends cycles too.
const MAX_DEPTH = 1000

function toPlain(value: unknown): unknown {
  const hasOwnForm = typeof value === 'object' && value !== null && 'toJSON' in value
  return hasOwnForm && typeof value.toJSON === 'function' ? value.toJSON() : value
}

function objectText(record: Readonly<Record<string, unknown>>, depth: number): string {
  let text = ''
  for (const key of Object.keys(record).sort()) {
    const member = canonicalText(record[key], depth)
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${member}`
  }
  return `{${text}}`
}

/** What JSON.stringify would write, with the keys of every object sorted; undefined where it would leave a value out. */
function canonicalText(value: unknown, depth: number): string | undefined {
  const plain = toPlain(value)
  if (typeof plain === 'bigint')
    throw new GatewayError('ERR_INVALID_INPUT', 'The input holds a bigint, which is not JSON.')
  if (typeof plain !== 'object' || plain === null) return JSON.stringify(plain)
  if (depth === MAX_DEPTH)
    throw new GatewayError('ERR_INVALID_INPUT', `The input is nested over ${MAX_DEPTH} levels deep.`)
  if (!Array.isArray(plain)) return objectText(plain as Readonly<Record<string, unknown>>, depth + 1)
  // Not map(), which skips the holes that JSON writes as null.
  return `[${Array.from(plain, (item) => canonicalText(item, depth + 1) ?? 'null').join(',')}]`
}

/**
 * Tells inputs apart: SHA-256 in base64url over the canonical JSON of a value. The order of keys does not matter, any
 * other difference that JSON can express does. Throws `ERR_INVALID_INPUT` for cycles, bigints and over 1,000 levels.
 */
export function fingerprint(value: unknown): string {
  return createHash('sha256')
    .update(canonicalText(value, 0) ?? '')
    .digest('base64url')
}
