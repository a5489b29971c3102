import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesIfMatch, matchesNoneMatch } from '../../../src/http/conditional.js'

const RUNS = { numRuns: 2000 }

const opaque = fc.string({ unit: fc.constantFrom(...'ab1,\\!~é'), maxLength: 3 })
const tag = fc.record({ weak: fc.boolean(), opaque })
const tags = fc.array(tag, { maxLength: 6 })

function write(one: { weak: boolean; opaque: string }): string {
  return `${one.weak ? 'W/' : ''}"${one.opaque}"`
}

describe('entity tags', () => {
  it('E03 If-None-Match matches whenever a tag of the list has the same opaque part', () => {
    fc.assert(
      fc.property(tags, tag, fc.constantFrom(', ', ',', ' ,, '), (list, current, comma) => {
        const expected = list.some((one) => one.opaque === current.opaque)
        expect(matchesNoneMatch(list.map(write).join(comma), write(current))).toBe(expected)
      }),
      RUNS,
    )
  })

  it('E07 If-Match matches only when both tags are strong and equal', () => {
    fc.assert(
      fc.property(tags, tag, (list, current) => {
        const expected = list.some((one) => !one.weak && !current.weak && one.opaque === current.opaque)
        expect(matchesIfMatch(list.map(write).join(','), write(current))).toBe(expected)
      }),
      RUNS,
    )
  })

  it('E02 no text makes them throw', () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'"W/, *\\a\u0000'), maxLength: 100 })
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string({ unit: 'binary' })), (header) => {
        const other = '"no such tag can be read from it"'
        expect(matchesIfMatch(header, other)).toBe(header.trim() === '*')
        expect(matchesNoneMatch(header, other)).toBe(header.trim() === '*')
      }),
      RUNS,
    )
  })
})
