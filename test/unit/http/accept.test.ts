import { describe, expect, it } from 'vitest'
import { isJsonMediaType, selectMediaType } from '../../../src/http/accept.js'
import { medianCpuMs } from '../cpu-time.js'

const OFFERED = ['application/json', 'text/event-stream']

describe('selectMediaType', () => {
  it.each([
    undefined,
    '*/*',
    '',
    ' ',
    ',',
    '*/* ',
    'application/*',
    'APPLICATION/JSON',
    'application/json',
    '*/*;q=0.1',
  ])('D17 an absent, open or matching Accept gets the first type that fits: %s', (accept) =>
    expect(selectMediaType(accept, OFFERED)).toBe('application/json'),
  )

  it.each(['text/html', 'image/*', 'application/xml, text/html;q=0.5', 'application/jsonx', 'text/event-stream2'])(
    'D17 an Accept that matches none of our types gets none: %s',
    (accept) => expect(selectMediaType(accept, OFFERED)).toBeUndefined(),
  )

  it.each([
    ['application/json;q=0', undefined],
    ['application/json;q=0.000, */*;q=0', undefined],
    ['application/json;q=0, */*', 'text/event-stream'],
    ['*/*, application/json; Q=0.0', 'text/event-stream'],
    ['application/*;q=0, application/json', 'application/json'],
    ['*/*;q=1, text/*;q=0', 'application/json'],
  ])('D18 q=0 excludes and the most specific range decides: %s', (accept, expected) => {
    expect(selectMediaType(accept, OFFERED)).toBe(expected)
  })

  it.each([
    ['application/json;q=0.5, text/event-stream', 'text/event-stream'],
    ['application/json;q=.2, text/event-stream;q=.3', 'text/event-stream'],
    ['application/json;q=1., text/event-stream;q=0.999', 'application/json'],
    ['text/event-stream, application/json', 'application/json'],
    ['text/event-stream, */*', 'text/event-stream'],
    ['text/*;q=0.4, application/json;q=0.3', 'text/event-stream'],
    ['text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2', 'application/json'],
  ])('D18 the greatest weight wins, then precision, then the order of the offer: %s', (accept, expected) => {
    expect(selectMediaType(accept, OFFERED)).toBe(expected)
  })

  it('D18 a type is judged by the first of equally specific ranges', () => {
    expect(selectMediaType('application/json;q=0, application/json', OFFERED)).toBeUndefined()
  })

  it.each([
    'application/json;charset=utf-8',
    'application/json; charset="utf-8"; q="0.5"',
    'text/html;x="a, application/json;q=0", application/json',
  ])('D18 parameters may be quoted, and a charset excludes nothing: %s', (accept) => {
    expect(selectMediaType(accept, OFFERED)).toBe('application/json')
  })

  it('D18 a parameter must be offered, and makes a range more specific', () => {
    const offered = ['application/json', 'application/json;profile="a"']
    expect(selectMediaType('application/json;profile=b', offered)).toBeUndefined()
    expect(selectMediaType('application/json;profile=a;q=0.9, application/json;q=0.5', offered)).toBe(offered[1])
    expect(selectMediaType('application/json;profile=a;q=0, */*', offered)).toBe(offered[0])
  })

  it.each([
    '*',
    '*/json',
    'json',
    '/json',
    'application/',
    'application/json;q=2',
    'a/b;q=x',
    'a b/c',
    '"',
    '"a/b, c/d',
    'a/b;x="',
  ])('D17 a header without a usable range is as good as none: %s', (accept) =>
    expect(selectMediaType(accept, OFFERED)).toBe('application/json'),
  )

  it('D18 a malformed range is dropped and the rest kept', () => {
    expect(selectMediaType('application/json;q=high, text/event-stream;q=0.1', OFFERED)).toBe('text/event-stream')
    expect(selectMediaType('*/json, text/event-stream;q=0.1', OFFERED)).toBe('text/event-stream')
  })

  it('D17 nothing offered gives nothing', () => {
    expect(selectMediaType('a/b', [])).toBeUndefined()
    expect(selectMediaType(undefined, [])).toBeUndefined()
    expect(selectMediaType('application/*', ['nonsense'])).toBeUndefined()
  })

  it('FM-H22 16 KiB of ranges take under 5 ms (median)', () => {
    for (const accept of [
      'a/b,'.repeat(4096),
      'a/b;'.repeat(4096),
      `a/b;q=0.${'0'.repeat(16384)}x`,
      '"'.repeat(16384),
    ]) {
      expect(medianCpuMs(() => selectMediaType(accept, OFFERED))).toBeLessThan(5)
    }
  })
})

describe('isJsonMediaType', () => {
  it.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
    'application/json; charset=utf8',
    'application/merge-patch+json',
    'application/vnd.api+json; profile="x, y"',
    'application/json;',
  ])('F08 reads %s as JSON', (type) => expect(isJsonMediaType(type)).toBe(true))

  it.each([
    undefined,
    '',
    'text/json',
    'text/plain',
    'json',
    'application/',
    'application/jsonp',
    'application/x+jsonx',
    'application/json; charset=latin1',
    'application/json; charset=utf-16',
    'application/json, text/plain',
    'application/json x',
    'application/json; charset="utf-8',
  ])('F08 does not read %s as JSON', (type) => expect(isJsonMediaType(type)).toBe(false))
})
