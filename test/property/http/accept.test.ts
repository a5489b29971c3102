import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isJsonMediaType, selectMediaType } from '../../../src/http/accept.js'

const RUNS = { numRuns: 2000 }

const offers = fc.uniqueArray(fc.constantFrom<string>('a/x', 'a/y', 'b/x', 'application/json'), {
  minLength: 1,
  maxLength: 4,
})
const range = fc.record({
  range: fc.constantFrom('*/*', 'a/*', 'b/*', 'application/*', 'a/x', 'a/y', 'b/x', 'application/json', 'c/z'),
  weight: fc.integer({ min: 0, max: 10 }),
})
const ranges = fc.uniqueArray(range, { minLength: 1, maxLength: 6, selector: (one) => one.range })

const spelling = fc.record({ loud: fc.boolean(), comma: fc.constantFrom(', ', ',', ' ,,\t') })

function rank(pattern: string): number {
  if (pattern === '*/*') return 0
  return pattern.endsWith('/*') ? 1 : 2
}

function fits(pattern: string, offer: string): boolean {
  return pattern === '*/*' || pattern === offer || (pattern.endsWith('/*') && offer.startsWith(pattern.slice(0, -1)))
}

/** RFC 9110 section 12.5.1 taken word by word, with a sort where the code keeps a best. */
function expected(list: readonly { range: string; weight: number }[], offered: readonly string[]): string | undefined {
  const rated = offered.flatMap((offer) => {
    const [first] = list.filter((one) => fits(one.range, offer)).sort((a, b) => rank(b.range) - rank(a.range))
    return first === undefined || first.weight === 0 ? [] : [{ offer, weight: first.weight, rank: rank(first.range) }]
  })
  return rated.sort((a, b) => b.weight - a.weight || b.rank - a.rank)[0]?.offer
}

describe('selectMediaType', () => {
  it('D17 D18 agrees with the rules of the RFC, however the ranges are spelled and ordered', () => {
    fc.assert(
      fc.property(ranges, offers, spelling, (list, offered, { loud, comma }) => {
        const line = list
          .map((one) => (one.weight === 10 ? one.range : `${one.range} ; ${loud ? 'Q' : 'q'}=0.${one.weight}`))
          .map((one) => (loud ? one.toUpperCase() : one))
        expect(selectMediaType(line.join(comma), offered)).toBe(expected(list, offered))
        expect(selectMediaType(line.reverse().join(comma), offered)).toBe(expected(list, offered))
      }),
      RUNS,
    )
  })

  it('FM-H22 no text makes it throw or choose what is not offered', () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'",;=/ *\t\\aqx01.\u0000€'), maxLength: 200 })
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string({ unit: 'binary' })), offers, (accept, offered) => {
        const chosen = selectMediaType(accept, offered)
        expect(chosen === undefined || offered.includes(chosen)).toBe(true)
        expect(typeof isJsonMediaType(accept)).toBe('boolean')
      }),
      RUNS,
    )
  })
})
