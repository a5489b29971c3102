import { describe, expect, it } from 'vitest'
import {
  appendLink,
  appendVary,
  encodeLocation,
  isAnswerHeader,
  isAnswerStatus,
  isBodiless,
  isSafeHeader,
} from '../../../src/http/safe-headers.js'

describe('encodeLocation', () => {
  it.each([
    ['/users/Jürgen', '/users/J%C3%BCrgen'],
    ['/a/€/😀', '/a/%E2%82%AC/%F0%9F%98%80'],
    ['/a b"<>\\^`{|}', '/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D'],
    ['/a\u0000\t\u007f', '/a%00%09%7F'],
    ['/a%20b/%zz/100%', '/a%20b/%25zz/100%25'],
    ['/a\ud800b', '/a%EF%BF%BDb'],
    ["/users/1?a=b&c=[d]#!$'()*+,;=:@~", "/users/1?a=b&c=[d]#!$'()*+,;=:@~"],
    ['/', '/'],
  ])('F19 percent-encodes what a URI cannot hold: %j', (value, expected) => {
    expect(encodeLocation(value)).toBe(expected)
  })

  it.each(['/a\r\nSet-Cookie: x=1', '/a\nb', '/a\rb', '\r\n/a', 'https://api.example.com/\n'])(
    'FM-H7 refuses a line break: %j',
    (value) => expect(encodeLocation(value, { publicUrl: 'https://api.example.com' })).toBeUndefined(),
  )

  const offSite = [
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https://evil.example/',
    'https://api.example.com.evil.example/',
    'https://api.example.com@evil.example/',
    'https://user:pass@api.example.com/',
    'https://user@api.example.com/',
    'http://api.example.com/',
    'https://api.example.com:8443/',
    'https:evil.example',
    'javascript:alert(1)',
    'data:text/html,x',
    'blob:https://api.example.com/1',
    'users/1',
    '?a=1',
    '#a',
    '',
    ' ',
    'https://[',
  ]

  it.each(offSite)('FM-H8 refuses what leads off this site: %j', (value) => {
    expect(encodeLocation(value, { publicUrl: 'https://api.example.com/base' })).toBeUndefined()
    expect(encodeLocation(value)).toBeUndefined()
  })

  it('FM-H8 lets absolute locations of the public URL and of allowed origins pass', () => {
    const options = { publicUrl: 'https://api.example.com/base', allowedOrigins: ['https://files.example.com'] }
    expect(encodeLocation('https://api.example.com/users/Jürgen', options)).toBe(
      'https://api.example.com/users/J%C3%BCrgen',
    )
    expect(encodeLocation('HTTPS://API.example.com:443/a', options)).toBe('https://api.example.com/a')
    expect(encodeLocation('https://files.example.com/a?b#c', options)).toBe('https://files.example.com/a?b#c')
    expect(encodeLocation('https://files.example.com/a', { publicUrl: options.publicUrl })).toBeUndefined()
    expect(encodeLocation('https://files.example.com/a', { allowedOrigins: options.allowedOrigins })).toBeDefined()
  })

  it('C08 a path-absolute location stays relative, whatever the public URL is', () => {
    expect(encodeLocation('/operations/1', { publicUrl: 'https://api.example.com' })).toBe('/operations/1')
  })
})

describe('isSafeHeader', () => {
  it.each(['ETag', 'x-total', 'Cache-Control', 'content-language', 'Last-Modified', '__proto__'])(
    'F18 %s may be sent',
    (name) => expect(isSafeHeader(name, 'é\tok')).toBe(true),
  )

  it.each([
    'Connection',
    'keep-alive',
    'Transfer-Encoding',
    'TE',
    'trailer',
    'upgrade',
    'Content-Length',
    'Set-Cookie',
    'set-cookie2',
    'proxy-connection',
    'Proxy-Authenticate',
    'host',
    'Location',
    'content-location',
    'Refresh',
  ])('F18 %s is refused', (name) => expect(isSafeHeader(name, 'x')).toBe(false))

  it.each(['', 'a b', 'a:b', 'a\r\nb', 'é', '(x)'])('FM-H7 a name that is no token is refused: %j', (name) => {
    expect(isSafeHeader(name, 'x')).toBe(false)
  })

  it.each(['a\r\nSet-Cookie: x=1', 'a\nb', 'a\rb', 'a\u0000', 'a\u007f', '€', 1, undefined, null, ['a'], {}])(
    'FM-H7 a value that Node would refuse is refused: %j',
    (value) => expect(isSafeHeader('x-value', value)).toBe(false),
  )
})

describe('isAnswerHeader', () => {
  it.each(['ETag', 'Cache-Control', 'X-Total', 'ratelimit-limit', 'Vary', 'link'])(
    'F18 an outcome may set %s',
    (name) => expect(isAnswerHeader(name, 'ok')).toBe(true),
  )

  it.each([
    ...['x-accel-redirect', 'X-Sendfile', 'x-forwarded-host', 'x-original-url', 'x-content-type-options'],
    ...['content-encoding', 'clear-site-data', 'access-control-allow-origin', 'content-security-policy'],
    ...['operation-location', 'preference-applied', 'idempotent-replayed', 'www-authenticate', '__proto__'],
    ...['set-cookie', 'location', 'transfer-encoding'],
  ])('F18 FM-H7 an outcome may not set %s', (name) => expect(isAnswerHeader(name, 'x')).toBe(false))
})

describe('appendVary', () => {
  it.each([
    [undefined, ['Prefer'], 'Prefer'],
    ['', ['Prefer'], 'Prefer'],
    ['accept-encoding', ['Prefer'], 'accept-encoding, Prefer'],
    ['Accept, prefer', ['Prefer', 'Accept'], 'Accept, prefer'],
    ['Accept,,Accept , X', ['Prefer', 'PREFER'], 'Accept, X, Prefer'],
    [['Accept', 'Origin'], ['Prefer'], 'Accept, Origin, Prefer'],
    ['Accept', [], 'Accept'],
  ])('B17 appends to %j the names %j, none twice', (existing, names, expected) => {
    expect(appendVary(existing, ...names)).toBe(expected)
  })

  it('B16 a star swallows everything', () => {
    expect(appendVary('*', 'Prefer')).toBe('*')
    expect(appendVary('Accept, *', 'Prefer')).toBe('*')
    expect(appendVary('Accept', '*')).toBe('*')
  })
})

describe('appendLink', () => {
  it('I07 keeps the links that the application set', () => {
    const link = '</operations/1>; rel="status"'
    expect(appendLink(undefined, link)).toBe(link)
    expect(appendLink('', link)).toBe(link)
    expect(appendLink('</>; rel="up"', link)).toBe(`</>; rel="up", ${link}`)
    expect(appendLink(['<a>; rel=x', '<b>; rel=y'], link)).toBe(`<a>; rel=x, <b>; rel=y, ${link}`)
  })
})

describe('isAnswerStatus', () => {
  it.each([200, 201, 202, 204, 303, 400, 409, 451, 500, 599])('F17 FM-E16 %s can be answered', (status) =>
    expect(isAnswerStatus(status)).toBe(true),
  )

  it.each([
    0,
    100,
    101,
    103,
    199,
    206,
    304,
    600,
    999,
    200.5,
    -200,
    Number.NaN,
    '201',
    null,
    undefined,
    200n,
    [200],
    {},
  ])('F17 FM-E16 %s cannot', (status) => expect(isAnswerStatus(status)).toBe(false))

  it('F17 204, 205 and 304 have no body', () => {
    const bodiless = Array.from({ length: 600 }, (_, status) => status).filter((status) => isBodiless(status))
    expect(bodiless).toEqual([204, 205, 304])
  })
})
