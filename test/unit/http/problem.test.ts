import { createGateway, memoryTransport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode, GatewayError } from '../../../src/core/errors.js'
import { mountOperations } from '../../../src/http/operations.js'
import {
  answerError,
  jitteredRetryAfter,
  problemReply,
  replyOf,
  toParserError,
  typeName,
} from '../../../src/http/problem.js'
import { httpSettingsOf } from '../../../src/http/settings.js'
import { jsonOf } from './support.js'

const gateway = createGateway({ transport: memoryTransport() })
const settings = httpSettingsOf(gateway)

function problemOf(error: unknown) {
  return jsonOf(problemReply(settings, error))
}

describe('problemReply', () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])(
    'G01 G02 G05 %s is a problem with a type of its own, and says whether to try again',
    (code) => {
      const { status, headers, body } = problemReply(settings, new GatewayError(code, 'What happened.'))
      expect(headers).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
      const problem = JSON.parse(String(body))
      expect(problem).toMatchObject({ status, code, title: ERRORS[code].title })
      expect(problem.type).toMatch(/^urn:respond-async:problem:[a-z]+(-[a-z]+)*$/)
      expect(['no', 'safe', 'same-key', 'new-key']).toContain(problem.retry)
      // What may succeed later invites to try again, and the other way round.
      const mayComeLater = code === 'ERR_IDEMPOTENCY_IN_USE' || code === 'ERR_NOT_CREATED_YET'
      expect(status === 503 || status === 429 || status === 504 || mayComeLater).toBe(ERRORS[code].retryable)
      expect('retry-after' in headers).toBe(status === 503 || status === 429 || code === 'ERR_IDEMPOTENCY_IN_USE')
      expect('outcome' in problem).toBe(status === 503)
    },
  )

  it('FM-H23 says nothing of errors that are not ours', () => {
    const reply = problemReply(settings, new TypeError('secret of line 7'))
    expect(jsonOf(reply)).toEqual({
      type: 'urn:respond-async:problem:internal',
      title: 'Something went wrong inside the gateway',
      status: 500,
      code: 'ERR_INTERNAL',
      retry: 'no',
    })
    for (const thrown of [undefined, null, 'text', 7]) expect(problemReply(settings, thrown).status).toBe(500)
  })

  it.each([
    ['ERR_PUBLISH_REJECTED', 'No queue is bound to "crm.requests".'],
    ['ERR_PUBLISH_UNCONFIRMED', 'RabbitMQ at 10.0.0.7 has not confirmed.'],
    ['ERR_TRANSPORT_UNAVAILABLE', 'No Kafka broker can be reached to write to crm.requests.'],
    ['ERR_STORE_UNAVAILABLE', 'getaddrinfo ENOTFOUND db.internal'],
  ] as const)('FM-H23 %s does not tell clients the names of what is behind the gateway', (code, text) => {
    const { detail, title } = problemOf(new GatewayError(code, text))
    expect([detail, title]).toEqual([undefined, expect.stringMatching(/broker|store/)])
    expect(problemOf(new GatewayError('ERR_OVERLOADED', text)).detail).toBe(text)
  })

  it.each([
    [{}, 'not-accepted', 'safe'],
    [{ outcome: 'not-accepted' }, 'not-accepted', 'safe'],
    [{ outcome: 'unknown' }, 'unknown', 'same-key'],
  ] as const)('F12 a 503 with %j is %s: %s', (details, outcome, retry) => {
    expect(problemOf(new GatewayError('ERR_STORE_UNAVAILABLE', 'x', details))).toMatchObject({ outcome, retry })
  })

  it.each([
    ['ERR_PUBLISH_UNCONFIRMED', false, [503, 'unknown', 'same-key']],
    ['ERR_PUBLISH_UNCONFIRMED', true, [503, 'unknown', 'new-key']],
    ['ERR_PUBLISH_REJECTED', true, [503, 'not-accepted', 'safe']],
    ['ERR_RESULT_TIMEOUT', false, [504, undefined, 'same-key']],
    ['ERR_RESULT_TIMEOUT', true, [504, undefined, 'new-key']],
    ['ERR_MALFORMED_RESULT', true, [502, undefined, 'new-key']],
  ] as const)('%s, final: %s, is %j', (code, isFinal, expected) => {
    const { status, outcome, retry } = problemOf(new GatewayError(code, 'x', { isFinal }))
    expect([status, outcome, retry]).toEqual(expected)
  })

  it('G13 names the place of each broken rule by a JSON Pointer', () => {
    const issues = [
      { message: 'too young', path: ['people', 0, 'a/b~c é'] },
      { message: 'must be an object', path: [] },
    ]
    expect(problemOf(new GatewayError('ERR_INVALID_INPUT', 'x', { issues })).errors).toEqual([
      { detail: 'too young', pointer: '#/people/0/a~1b~0c%20%C3%A9' },
      { detail: 'must be an object', pointer: '#' },
    ])
  })

  it('G10 I01 names the operation only where operations are served', () => {
    const error = new GatewayError('ERR_RESULT_TIMEOUT', 'x', { operationId: 'op' })
    expect(problemOf(error)).not.toHaveProperty('instance')
    const served = createGateway({ transport: memoryTransport(), publicUrl: 'https://api.example.com/v1/' })
    mountOperations(served)
    const { headers, body } = problemReply(httpSettingsOf(served), error)
    const url = 'https://api.example.com/v1/operations/op'
    expect(JSON.parse(String(body)).instance).toBe(url)
    expect(headers.link).toBe(`<${url}>; rel="status"`)
  })

  it.each([
    [{ status: 401 }, 401],
    [{ statusCode: 403 }, 403],
    [{ status: 'x', statusCode: 404 }, 404],
    [{ status: 500 }, 500],
    [{ status: 399 }, 500],
    [{ status: 401.5 }, 500],
    [{ status: 200 }, 500],
    [new Error('boom'), 500],
    ['text', 500],
    [null, 500],
  ])('what a hook throws, %j, is answered %d', (cause, status) => {
    expect(problemReply(settings, new GatewayError('ERR_HOOK', 'x', { cause })).status).toBe(status)
  })

  it('the status of other errors is ours alone', () => {
    const cause = { status: 401 }
    expect(problemReply(settings, new GatewayError('ERR_INTERNAL', 'x', { cause })).status).toBe(500)
  })

  it('FM-F13 says when to come back: as it was told, or spread', () => {
    const told = new GatewayError('ERR_OVERLOADED', 'x', { retryAfterSeconds: 9 })
    expect(problemReply(settings, told).headers['retry-after']).toBe('9')
    const spread = new Set(Array.from({ length: 200 }, jitteredRetryAfter))
    expect([...spread].sort()).toEqual(['1', '2', '3', '4'])
  })

  it('closes the connection only while the gateway shuts down', () => {
    expect(problemReply(settings, new GatewayError('ERR_CLOSED', 'x')).closeConnection).toBe(true)
    expect(problemReply(settings, new GatewayError('ERR_OVERLOADED', 'x'))).not.toHaveProperty('closeConnection')
  })

  it('takes the headers of the error, and another base of types', () => {
    const { problemBase: _, ...others } = settings
    const error = new GatewayError('ERR_METHOD_NOT_ALLOWED', 'x', { headers: { allow: 'GET' } })
    const { headers, body } = problemReply({ ...others, problemBase: 'https://example.com/' }, error)
    expect(headers.allow).toBe('GET')
    expect(JSON.parse(String(body)).type).toBe('https://example.com/method-not-allowed')
  })
})

describe('answerError', () => {
  it('reports what only the application can mend, and no departure', async () => {
    const reported: unknown[] = []
    const reporting = createGateway({ transport: memoryTransport() }).on('error', (error) => reported.push(error.code))
    answerError(reporting, new TypeError('boom'))
    answerError(reporting, new GatewayError('ERR_HOOK', 'x', { cause: new Error('boom') }))
    answerError(reporting, new GatewayError('ERR_HOOK', 'x', { cause: { status: 401 } }))
    answerError(reporting, new GatewayError('ERR_OVERLOADED', 'x'))
    answerError(reporting, new GatewayError('ERR_MALFORMED_RESULT', 'x'))
    for (const reason of [undefined, 'gone', new Event('abort')])
      expect(answerError(reporting, reason).status).toBe(500)
    expect(reported).toEqual(['ERR_INTERNAL', 'ERR_HOOK'])
  })
})

describe('replyOf', () => {
  it('adds to its own headers those of the occurrence', () => {
    const problem = { type: 't', title: 'T', status: 409, code: 'c', retry: 'no' } as const
    expect(replyOf(problem, '{}', { etag: '"1"', 'cache-control': 'private' }).headers).toEqual({
      'content-type': 'application/problem+json',
      'cache-control': 'private',
      etag: '"1"',
    })
  })
})

describe('typeName', () => {
  it.each([
    ['ERR_RESULT_TIMEOUT', 'result-timeout'],
    ['CreateUser::UserNotCreated', 'user-not-created'],
    ['com.example.user.NotCreated', 'not-created'],
    ['users/v2/HTTPError2Big', 'httperror2-big'],
    ['not_created', 'not-created'],
    ['Über::Ärger', '-rger'],
    ['trailing::', 'trailing-'],
  ])('%s is %s', (name, expected) => {
    expect(typeName(name)).toBe(expected)
  })
})

describe('toParserError', () => {
  it.each<[string, unknown, ErrorCode | undefined]>([
    ['body-parser: malformed', { type: 'entity.parse.failed', status: 400 }, 'ERR_MALFORMED_BODY'],
    ['body-parser: too large', { type: 'entity.too.large', status: 413 }, 'ERR_BODY_TOO_LARGE'],
    ['body-parser: charset', { type: 'charset.unsupported', status: 415 }, 'ERR_UNSUPPORTED_MEDIA_TYPE'],
    ['body-parser: coding', { type: 'encoding.unsupported', statusCode: 415 }, 'ERR_UNSUPPORTED_MEDIA_TYPE'],
    ['body-parser: broken off', { type: 'request.aborted', status: 400 }, 'ERR_MALFORMED_BODY'],
    ['Fastify: malformed', { code: 'FST_ERR_CTP_INVALID_JSON_BODY', statusCode: 400 }, 'ERR_MALFORMED_BODY'],
    ['Fastify: too large', { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }, 'ERR_BODY_TOO_LARGE'],
    ['Fastify: media type', { code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', statusCode: 415 }, 'ERR_UNSUPPORTED_MEDIA_TYPE'],
    ['a JSON parser', Object.assign(new SyntaxError('x'), { statusCode: 400 }), 'ERR_MALFORMED_BODY'],
    ['a SyntaxError of the application', new SyntaxError('x'), undefined],
    ['a parser, with a status of its own', { type: 'entity.verify.failed', status: 403 }, undefined],
    ['a parser without a status', { type: 'entity.parse.failed' }, undefined],
    ['an application', { code: 'NOT_FOUND', status: 404 }, undefined],
    ['a validation of the framework', { code: 'FST_ERR_VALIDATION', statusCode: 400 }, undefined],
    ['an ordinary error', new Error('x'), undefined],
    ['one of ours', new GatewayError('ERR_MALFORMED_BODY', 'x'), undefined],
    ['a text', 'x', undefined],
    ['nothing', null, undefined],
  ])('understands %s', (_, error, code) => {
    expect(toParserError(error)?.code).toBe(code)
  })

  it('F09 says which media type would do', () => {
    expect(toParserError({ type: 'charset.unsupported', status: 415 })?.details.headers).toEqual({
      accept: 'application/json',
    })
    expect(toParserError({ type: 'entity.too.large', status: 413 })?.details.headers).toEqual({})
  })
})
