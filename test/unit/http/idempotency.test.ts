import { describe, expect, it } from 'vitest'
import { readIdempotencyKey } from '../../../src/http/idempotency.js'

const INVALID = expect.objectContaining({ code: 'ERR_IDEMPOTENCY_KEY_INVALID' })

describe('readIdempotencyKey', () => {
  it.each([
    ['"8e03978e-40d5-43e8-bc93-6894a57f9324"', '8e03978e-40d5-43e8-bc93-6894a57f9324'],
    ['"a b, c; d=e"', 'a b, c; d=e'],
    ['"a\\"b\\\\c"', 'a"b\\c'],
  ])('H01 reads a Structured Field string: %s', (header, key) => {
    expect(readIdempotencyKey(header)).toBe(key)
    expect(readIdempotencyKey(header, { strict: true })).toBe(key)
    expect(readIdempotencyKey([header])).toBe(key)
  })

  it.each(['"a', 'a"', '"', '"a\\b"', '"a\\"', '"a"b', '"a" b', '"a";x=1', "'a b'", '"a\tb"'])(
    'H01 refuses what is no Structured Field string: %s',
    (header) => expect(() => readIdempotencyKey(header)).toThrow(INVALID),
  )

  it.each(['KG5LxwFBepaKHyUD', '8e03978e-40d5-43e8-bc93-6894a57f9324', 'a/b+c==', 'a:b;c', '\\'])(
    'H02 the bare form is the same key, unless strict: %s',
    (key) => {
      expect(readIdempotencyKey(key)).toBe(key)
      expect(() => readIdempotencyKey(key, { strict: true })).toThrow(INVALID)
    },
  )

  it('H02 the quoted form names the key that the bare form names', () => {
    expect(readIdempotencyKey('"abc"')).toBe(readIdempotencyKey('abc'))
  })

  it.each(['"a", "b"', '"a","b"', 'a, b', 'a,b', '"a", b'])(
    'H03 refuses several lines that were joined: %s',
    (header) => expect(() => readIdempotencyKey(header)).toThrow(INVALID),
  )

  it('H03 refuses several lines, equal ones too', () => {
    expect(() => readIdempotencyKey(['"a"', '"a"'])).toThrow(INVALID)
  })

  it.each(['', ' ', '""'])('H04 refuses an empty key: %j', (header) => {
    expect(() => readIdempotencyKey(header)).toThrow(INVALID)
    expect(() => readIdempotencyKey([header])).toThrow(INVALID)
  })

  it('H04 takes 255 characters, escapes not counted, and no more', () => {
    expect(readIdempotencyKey('x'.repeat(255))).toHaveLength(255)
    expect(readIdempotencyKey(`"${'\\"'.repeat(255)}"`)).toHaveLength(255)
    expect(() => readIdempotencyKey('x'.repeat(256))).toThrow(/255/)
    expect(() => readIdempotencyKey(`"${'\\"'.repeat(255)}x"`)).toThrow(/255/)
    expect(() => readIdempotencyKey('"'.repeat(16384))).toThrow(/255/)
  })

  it.each(['"é"', 'é', '"€"', 'a\u0000b', '"a\u007f"', '"a\r\nb"', '\u00a0abc'])(
    'H04 refuses what is not printable ASCII: %j',
    (header) => expect(() => readIdempotencyKey(header)).toThrow(INVALID),
  )

  it('H04 does not repeat the key in the error', () => {
    expect(() => readIdempotencyKey('"secret')).not.toThrow(/secret/)
    expect(() => readIdempotencyKey('"secret')).toThrow(/printable ASCII/)
  })

  it('H06 an absent header is no key', () => {
    expect(readIdempotencyKey(undefined)).toBeUndefined()
    expect(readIdempotencyKey([])).toBeUndefined()
  })
})
