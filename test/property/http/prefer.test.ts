import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatPrefer,
  formatPreferenceApplied,
  type Preference,
  parsePrefer,
  readPreferences,
} from '../../../src/http/prefer.js'

const RUNS = { numRuns: 2000 }

const tokenChar = fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~")
const token = fc.string({ unit: tokenChar, minLength: 1, maxLength: 8 })
const name = fc.oneof(token, fc.constantFrom('wait', 'respond-async', 'return', 'handling', '__proto__', 'constructor'))
const fieldChar = fc.oneof(
  fc.constantFrom(...'\t ,;="\\aZ0'),
  fc.integer({ min: 0x80, max: 0xff }).map((code) => String.fromCharCode(code)),
)
const text = fc.oneof(token, fc.string({ unit: fieldChar, maxLength: 10 }))

interface Pair {
  name: string
  value: string
  /** How the pair is to be written; one seed for each choice. */
  style: readonly number[]
}

const pair: fc.Arbitrary<Pair> = fc.record({
  name,
  value: text,
  style: fc.array(fc.nat(3), { minLength: 24, maxLength: 24 }),
})
const member = fc.record({ pair, params: fc.array(pair, { maxLength: 3 }) })
const SPACES = ['', '', ' ', '\t ']

function isBare(value: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(value)
}

function write({ name, value, style: [a = 0, b = 0, c = 0, d = 0, e = 0, ...rest] }: Pair): string {
  const spelled = a % 2 === 0 ? name : name.toUpperCase()
  if (value === '' && b % 2 === 0) return spelled
  const sign = `${SPACES[c]}=${SPACES[d]}`
  if (isBare(value) && e % 2 === 0) return spelled + sign + value
  const quoted = Array.from(value, (char, index) =>
    /["\\]/.test(char) || rest[index] === 0 ? `\\${char}` : char,
  ).join('')
  return `${spelled}${sign}"${quoted}"`
}

function model(members: readonly { pair: Pair; params: readonly Pair[] }[]): Map<string, Preference> {
  const all = new Map<string, Preference>()
  for (const { pair, params } of [...members].reverse()) {
    const entries = [...params].reverse().map((param): [string, string] => [param.name.toLowerCase(), param.value])
    all.set(pair.name.toLowerCase(), { value: pair.value, params: new Map(entries) })
  }
  return all
}

const header = fc.array(member, { maxLength: 8 })

describe('parsePrefer', () => {
  it('A01 A02 A04 A05 A06 A09 A13 A15 A17 A20 A21 A22 reads every spelling of a list of preferences alike', () => {
    fc.assert(
      fc.property(
        header,
        fc.constantFrom(', ', ',', ' ,, ', '\t,'),
        fc.constantFrom(';', ' ; ', '; ;\t'),
        (list, comma, semicolon) => {
          const line = list.map(({ pair, params }) => [pair, ...params].map(write).join(semicolon)).join(comma)
          expect(parsePrefer(line)).toEqual(model(list))
        },
      ),
      RUNS,
    )
  })

  it('A07 lines and one joined line are the same', () => {
    fc.assert(
      fc.property(fc.array(header, { maxLength: 4 }), (lists) => {
        const lines = lists.map((list) => list.map(({ pair }) => write(pair)).join(', '))
        expect(parsePrefer(lines)).toEqual(parsePrefer(lines.join(', ')))
      }),
      RUNS,
    )
  })

  it('A18 a malformed member between others changes nothing', () => {
    const malformed = fc.constantFrom('=5', 'a b', 'a=', 'a; b=', 'a="x"y', '"x"', '/', 'a=b=c', 'a;b=c d', '"a, b"')
    fc.assert(
      fc.property(header, malformed, header, (before, junk, after) => {
        const lines = [before, after].map((list) => list.map(({ pair }) => write(pair)).join(', '))
        expect(parsePrefer(lines.join(`, ${junk} ,`))).toEqual(parsePrefer(lines))
      }),
      RUNS,
    )
  })

  it('A18 A23 no text makes it throw, and at most 64 members are kept', () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'",;= \t\\a1\u0000é€'), maxLength: 300 })
    const any = fc.oneof(hostile, fc.string({ unit: 'binary', maxLength: 300 }), fc.array(hostile, { maxLength: 3 }))
    fc.assert(
      fc.property(any, (line) => {
        const { waitSeconds = 0, respondAsync, all } = readPreferences(line)
        expect(all.size).toBeLessThanOrEqual(64)
        expect(typeof respondAsync).toBe('boolean')
        expect(Number.isSafeInteger(waitSeconds)).toBe(true)
      }),
      RUNS,
    )
  })

  it('B07 B08 a wait is a run of digits and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.bigInt({ min: 0n }).map(String), text), (value) => {
        const expected = /^[0-9]+$/.test(value)
          ? Number(BigInt(value) > 2n ** 31n ? 2n ** 31n : BigInt(value))
          : undefined
        expect(readPreferences(formatPrefer({ wait: value })).waitSeconds).toBe(expected)
      }),
      RUNS,
    )
  })
})

describe('formatPrefer', () => {
  it('A30 what it writes is read back, without space around an equals sign', () => {
    fc.assert(
      fc.property(header.map(model), (preferences) => {
        const line = formatPrefer(preferences)
        expect(parsePrefer(line)).toEqual(preferences)
        expect(line.replace(/"(?:[^"\\]|\\.)*"/g, '')).not.toMatch(/[ \t]=|=[ \t]/)
      }),
      RUNS,
    )
  })

  it('B12 Preference-Applied is read back as preferences without parameters', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.tuple(
            token.map((t) => t.toLowerCase()),
            text,
          ),
          { selector: ([key]) => key },
        ),
        (applied) => {
          const read = [...parsePrefer(formatPreferenceApplied(applied))]
          expect(read.map(([key, { value, params }]) => [key, value, params.size])).toEqual(
            applied.map((one) => [...one, 0]),
          )
        },
      ),
      RUNS,
    )
  })
})
