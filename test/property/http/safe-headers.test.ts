import { validateHeaderName, validateHeaderValue } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { appendVary, encodeLocation, isAnswerStatus, isSafeHeader } from '../../../src/http/safe-headers.js'

const RUNS = { numRuns: 2000 }
const SITE = 'https://api.example.com'

const urlish = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '/',
      '\\',
      '//',
      '@',
      ':',
      '?',
      '#',
      '%',
      '%41',
      '.',
      '..',
      '\t',
      '\n',
      '\r',
      '\0',
      ' ',
      'é',
      '\ud800',
    ),
    fc.constantFrom('https:', 'javascript:', 'evil.example', 'api.example.com', SITE, 'users'),
  ),
  maxLength: 8,
})
const location = fc.oneof(
  urlish,
  urlish.map((rest) => `/${rest}`),
  urlish.map((rest) => SITE + rest),
  fc.webUrl(),
  fc.string({ unit: 'binary' }),
)

describe('encodeLocation', () => {
  it('FM-H7 FM-H8 F19 whatever a result holds, a browser stays on the site and the header is plain ASCII', () => {
    fc.assert(
      fc.property(location, fc.boolean(), (value, absolute) => {
        const encoded = encodeLocation(value, absolute ? { publicUrl: SITE } : {})
        if (encoded === undefined) return
        expect(encoded).toMatch(/^[\x21-\x7e]+$/)
        expect(new URL(encoded, `${SITE}/operations/1`).origin).toBe(SITE)
        expect(new URL(encoded, `${SITE}/operations/1`).username).toBe('')
        expect(encodeLocation(encoded, { publicUrl: SITE })).toBe(encoded)
      }),
      { numRuns: 5000 },
    )
  })

  it('F19 path segments come back as they were', () => {
    const segment = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[/\\%?#\r\n]/.test(text))
    fc.assert(
      fc.property(segment, (text) => {
        expect(decodeURIComponent(encodeLocation(`/${text}`) ?? '')).toBe(`/${text}`)
      }),
      RUNS,
    )
  })
})

describe('isSafeHeader', () => {
  it('F18 FM-H7 what it lets pass, Node writes', () => {
    const name = fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('etag', 'x-a', 'X_b', '__proto__'))
    fc.assert(
      fc.property(name, fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.anything()), (field, value) => {
        if (!isSafeHeader(field, value)) return
        validateHeaderName(field)
        validateHeaderValue(field, value)
        expect(value).not.toMatch(/[\r\n]/)
      }),
      RUNS,
    )
  })
})

describe('appendVary', () => {
  it('B17 every name is there once, in whatever case, and those before it stay in front', () => {
    const field = fc.constantFrom('Accept', 'accept', 'PREFER', 'Prefer', 'Origin', 'X')
    fc.assert(
      fc.property(fc.array(field), fc.array(field), (before, names) => {
        const vary = appendVary(before.join(','), ...names)
        const all = [...before, ...names].map((one) => one.toLowerCase())
        expect(vary.toLowerCase().split(', ').filter(Boolean)).toEqual([...new Set(all)])
        expect(appendVary(vary, ...names)).toBe(vary)
      }),
      RUNS,
    )
  })
})

describe('isAnswerStatus', () => {
  it('F17 FM-E16 what it lets pass makes a Response', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: -10, max: 1000 }), fc.anything()), (status) => {
        if (isAnswerStatus(status)) expect(new Response(null, { status }).status).toBe(status)
      }),
      RUNS,
    )
  })
})
