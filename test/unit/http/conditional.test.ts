import { describe, expect, it } from 'vitest'
import { matchesIfMatch, matchesNoneMatch } from '../../../src/http/conditional.js'
import { medianCpuMs } from '../cpu-time.js'

describe('entity tags', () => {
  it.each(['abc', '"', '"a', "'3'", '3', 'W/3', 'w/"3"', '"3"x', '"a b"', '"3', 'x"3"', '*"3"'])(
    'E02 what is no entity tag matches nothing: %s',
    (header) => {
      expect(matchesNoneMatch(header, '"3"')).toBe(false)
      expect(matchesIfMatch(header, '"3"')).toBe(false)
    },
  )

  it('E02 commas, backslashes and octets above 127 belong to a tag', () => {
    expect(matchesNoneMatch('"a,b", "c\\"', '"c\\"')).toBe(true)
    expect(matchesNoneMatch('"a,b", "c\\"', '"a,b"')).toBe(true)
    expect(matchesNoneMatch('"\u00e9"', '"\u00e9"')).toBe(true)
    expect(matchesNoneMatch('"a,b"', '"a"')).toBe(false)
    expect(matchesNoneMatch('""', '""')).toBe(true)
  })

  it.each([
    ['"3"', true],
    ['W/"3"', true],
    ['"2", W/"3"', true],
    [' , "2" ,, "3" ,', true],
    ['*', true],
    [' * ', true],
    ['"2", junk, "3"', true],
    ['"2"', false],
    ['', false],
    ['*, "2"', false],
    [undefined, false],
  ])('E03 If-None-Match %s compares weakly with "3": %s', (header, expected) => {
    expect(matchesNoneMatch(header, '"3"')).toBe(expected)
    expect(matchesNoneMatch(header, 'W/"3"')).toBe(expected)
  })

  it.each([
    ['"3"', true],
    ['"2", "3"', true],
    ['*', true],
    [undefined, true],
    ['W/"3"', false],
    ['"2"', false],
    ['', false],
  ])('E07 If-Match %s compares strongly with "3": %s', (header, expected) => {
    expect(matchesIfMatch(header, '"3"')).toBe(expected)
  })

  it('E07 a weak tag of ours matches only the star', () => {
    expect(matchesIfMatch('W/"3", "3"', 'W/"3"')).toBe(false)
    expect(matchesIfMatch('*', 'W/"3"')).toBe(true)
  })

  it('FM-H22 16 KiB of tags take under 5 ms (median)', () => {
    for (const header of ['"a",'.repeat(4096), '"'.repeat(16383), `"${'a'.repeat(16384)}`, 'W/'.repeat(8192)]) {
      expect(medianCpuMs(() => matchesNoneMatch(header, '"3"'))).toBeLessThan(5)
    }
  })
})
