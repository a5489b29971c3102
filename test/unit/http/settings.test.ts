import { createGateway, type GatewayOptions, memoryTransport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { OpenStreams, ReadRate } from '../../../src/http/limits.js'
import { httpOptionsOf, httpSettingsOf, operationUrl } from '../../../src/http/settings.js'

const transport = memoryTransport()

function making(options: object): () => unknown {
  return () => createGateway({ transport, ...options } as GatewayOptions & { events?: undefined })
}

function settingsOf(options: object) {
  return httpSettingsOf(making(options)() as never)
}

function refusal(message: string | RegExp) {
  return expect.objectContaining({
    code: 'ERR_CONFIG',
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  })
}

describe('HTTP options of a gateway', () => {
  it('has the documented defaults', () => {
    expect(settingsOf({})).toEqual({
      operationsPath: '/operations',
      statusStyle: 'redirect',
      problemBase: 'urn:respond-async:problem:',
      bodyLimit: 1_048_576,
      streamMs: 300_000,
      maxStreams: 1000,
      maxStreamsPerOperation: 10,
      maxReadsPerSecond: 20,
      retryAfterSeconds: 1,
      mounted: false,
      warned: false,
      streams: new OpenStreams({ maxStreams: 1000, maxStreamsPerOperation: 10 }),
      reads: new ReadRate(20),
    })
  })

  it('takes what it is given', () => {
    const given = {
      ...{
        operationsPath: '/api/v1/ops',
        statusStyle: 'document',
        problemBase: '',
        bodyLimit: 1,
        streamMs: 1,
        maxStreams: 0,
        maxStreamsPerOperation: 0,
        maxReadsPerSecond: 1,
      },
      ...{ retryAfterSeconds: 0, principal: () => 'x', authorize: () => true },
    }
    expect(settingsOf({ ...given, publicUrl: 'https://example.com/api//' })).toMatchObject({
      ...given,
      publicUrl: 'https://example.com/api',
    })
  })

  it.each([
    ['bodyLimit', 1, 1_073_741_824],
    ['streamMs', 1, 86_400_000],
    ['maxStreams', 0, 1_000_000],
    ['maxStreamsPerOperation', 0, 1_000_000],
    ['maxReadsPerSecond', 1, 1_000_000],
    ['retryAfterSeconds', 0, 3600],
  ])('%s is a whole number from %d to %d', (name, least, greatest) => {
    for (const value of [least, greatest]) expect(settingsOf({ [name]: value })).toMatchObject({ [name]: value })
    for (const value of [least - 1, greatest + 1, 0.5]) {
      const message = `${name} is ${value}; allowed is a whole number from ${least} to ${greatest}.`
      expect(making({ [name]: value })).toThrow(refusal(message))
    }
  })

  it.each<[object, string | RegExp]>([
    [{ operationsPath: 'operations' }, `operationsPath is "operations"; allowed is a path such as '/operations'.`],
    [{ operationsPath: '/' }, /^operationsPath is "\/";/],
    [{ operationsPath: '/a/' }, /^operationsPath is "\/a\/";/],
    [{ operationsPath: '/a?b' }, /^operationsPath is/],
    [{ operationsPath: 7 }, /^operationsPath is 7;/],
    [{ statusStyle: 'replay' }, `statusStyle is "replay"; allowed is 'redirect' or 'document'.`],
    [
      { publicUrl: 'example.com' },
      'publicUrl is "example.com"; allowed is an http(s) URL without query and credentials.',
    ],
    [{ publicUrl: 'https://a:b@example.com' }, /^publicUrl is/],
    [{ publicUrl: 'https://example.com/?a' }, /^publicUrl is/],
    [{ publicUrl: 'ftp://example.com' }, /^publicUrl is/],
    [{ publicUrl: 'https://[' }, /^publicUrl is/],
    [{ publicUrl: 7 }, /^publicUrl is 7;/],
    [{ problemBase: 7 }, 'problemBase is 7; allowed is a text.'],
    [{ principal: 'ada' }, 'principal is "ada"; allowed is a function.'],
    [{ authorize: true }, 'authorize is true; allowed is a function.'],
  ])('%j: says what it got and what is allowed', (options, message) => {
    expect(making(options)).toThrow(refusal(message))
  })
})

describe('HTTP options of a command', () => {
  function declare(options: object) {
    return createGateway({ transport }).command({
      publish: 'Make',
      outcomes: { Made: 'succeeded' },
      ...options,
    } as never)
  }

  it('takes what it is given', () => {
    const given = {
      ...{
        input: () => 1,
        headers: () => ({}),
        accepted: { location: () => '/' },
        produces: ['application/json'],
        methods: ['GET'],
      },
      ...{ onTimeout: 'gateway-timeout', idempotencyKey: 'required', asyncGraceMs: 5 },
    }
    expect(httpOptionsOf(declare(given).plan.definition)).toMatchObject(given)
    expect(() => declare({ onTimeout: 'accepted', idempotencyKey: 'optional', accepted: {} })).not.toThrow()
  })

  it.each<[object, string | RegExp]>([
    [{ input: {} }, 'input is an object with nothing in it; allowed is a function.'],
    [{ headers: 'x' }, 'headers is "x"; allowed is a function.'],
    [{ accepted: { url: '/x' } }, 'accepted has no option "url"; there are: location.'],
    [{ accepted: { location: '/x' } }, 'accepted.location is "/x"; allowed is a function.'],
    [{ methods: 'GET' }, `methods is "GET"; allowed is a list of methods such as ['GET'].`],
    [{ methods: [] }, /^methods is an empty list;/],
    [{ methods: [7] }, /^methods is a list;/],
    [
      { produces: 'text/html' },
      `produces is "text/html"; allowed is a list of media types such as ['application/json'].`,
    ],
    [{ onTimeout: '504' }, `onTimeout is "504"; allowed is 'accepted' or 'gateway-timeout'.`],
    [{ idempotencyKey: true }, `idempotencyKey is true; allowed is 'optional' or 'required'.`],
    [{ asyncGraceMs: -1 }, 'asyncGraceMs is -1; allowed is a whole number from 0 to 25000.'],
  ])('%j: says what it got and what is allowed', (options, message) => {
    expect(() => declare(options)).toThrow(refusal(message))
  })
})

describe('operationUrl', () => {
  it('C08 FM-H9 is path-absolute, or on the public site', () => {
    expect(operationUrl(settingsOf({}), 'op')).toBe('/operations/op')
    const settings = settingsOf({ publicUrl: 'https://example.com/api', operationsPath: '/ops' })
    expect(operationUrl(settings, 'op', '/result')).toBe('https://example.com/api/ops/op/result')
  })
})
