import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fingerprint } from '../../../src/core/fingerprint.js'

function sha(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

const INVALID = expect.objectContaining({ code: 'ERR_INVALID_INPUT' })

describe('fingerprint', () => {
  it('H12 is SHA-256 over JSON with sorted keys', () => {
    expect(fingerprint({ b: [2, { d: null, c: true }], a: 'é"' })).toBe(sha('{"a":"é\\"","b":[2,{"c":true,"d":null}]}'))
    expect(fingerprint({ 10: 1, 9: 2, '': 3 })).toBe(sha('{"":3,"10":1,"9":2}'))
  })

  it('H12 leaves out and replaces what JSON.stringify does', () => {
    const sparse = [1, undefined, 3]
    delete sparse[0]
    expect(fingerprint({ a: undefined, b: () => 1, c: Symbol('x'), d: -0, e: Number.NaN })).toBe(
      sha('{"d":0,"e":null}'),
    )
    expect(fingerprint([undefined, () => 1])).toBe(sha('[null,null]'))
    expect(fingerprint(sparse)).toBe(sha('[null,null,3]'))
    expect(fingerprint(undefined)).toBe(sha(''))
    expect(fingerprint(new Map([[1, 2]]))).toBe(sha('{}'))
  })

  it('H12 honours toJSON', () => {
    const date = new Date(0)
    expect(fingerprint({ date })).toBe(sha('{"date":"1970-01-01T00:00:00.000Z"}'))
    const self = {
      a: 1,
      toJSON() {
        return this
      },
    }
    expect(fingerprint(self)).toBe(sha('{"a":1}'))
    expect(fingerprint({ toJSON: 1 })).toBe(sha('{"toJSON":1}'))
  })

  it('FM-H11 takes __proto__ as a plain key', () => {
    const hostile: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":2}')
    expect(fingerprint(hostile)).toBe(sha('{"__proto__":{"a":1},"constructor":2}'))
    expect(fingerprint(JSON.parse('{"__proto__":{"a":2},"constructor":2}'))).not.toBe(fingerprint(hostile))
  })

  it('FM-H11 takes 1,000 levels and refuses more', () => {
    expect(fingerprint(nested(1000))).toHaveLength(43)
    expect(() => fingerprint(nested(1001))).toThrow(INVALID)
    expect(() => fingerprint(nested(100_000))).toThrow(INVALID)
  })

  it('FM-H11 refuses cycles and bigints', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = [cycle]
    expect(() => fingerprint(cycle)).toThrow(INVALID)
    expect(() => fingerprint({ a: 1n })).toThrow(INVALID)
  })
})
