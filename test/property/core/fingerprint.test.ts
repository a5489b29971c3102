import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprint } from '../../../src/core/fingerprint.js'

const RUNS = { numRuns: 2000 }

// Few different keys and leaves, so that two values are often nearly the same.
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, true, false, 0, 1, -1, 1.5, '', '1', 'null', 'a', ',', '{}', '\ud800'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', '1', '10', '', '__proto__', 'toString'), tie('value'), { maxKeys: 4 }),
  ),
}))

function reversed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(reversed)
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  )
}

describe('fingerprint', () => {
  it('H12 the order of keys never matters', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(fingerprint(reversed(value))).toBe(fingerprint(value))
      }),
      RUNS,
    )
  })

  it('H12 two JSON values have one fingerprint only when they are equal', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        const [left, right]: unknown[] = [a, b].map((value) => JSON.parse(JSON.stringify(value)))
        expect(fingerprint(a) === fingerprint(b)).toBe(isDeepStrictEqual(left, right))
      }),
      { numRuns: 5000 },
    )
  })

  it('H12 any JavaScript value has the fingerprint of the JSON it stands for', () => {
    const values = fc.anything({
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withSparseArray: true,
    })
    fc.assert(
      fc.property(values, (value) => {
        const text = JSON.stringify(value)
        if (text !== undefined) expect(fingerprint(value)).toBe(fingerprint(JSON.parse(text)))
      }),
      RUNS,
    )
  })
})
