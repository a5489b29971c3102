import assert from 'node:assert/strict'
import type { Event } from '../../core/event.js'
import type { StandardSchema } from '../../core/schema.js'
import { created, noContent, ok, problem, seeOther } from '../../http/outcomes.js'
import { until } from '../contract.js'
import { CREATED, check, type Given, type HttpCase, NOT_CREATED, PENDING, type Result } from './world.js'

const HEAD = 'POST /users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n'
const JSON_TYPE = { 'content-type': 'application/json' }
const GENERIC = 'CreateUser::Requested::Failed'
/** No number of JavaScript holds this amount. */
const EXACT = '{"id":"ann","amount":12345678901234567890.10}'
const HOSTILE = ['{"__proto__":{"polluted":1},"a":1,"a":2}', '['.repeat(50_000) + ']'.repeat(50_000)]

/** The back end answers with this event. */
function answering(result: Result): Given {
  return { backEnd: async () => [result] }
}

/** The command has this outcome for its result, and the back end answers with these data. */
function outcome(made: object, data: object): Given {
  return { ...answering({ data }), command: { outcomes: { [CREATED]: made as never } } }
}

const headersOf = (event: Event) => (event.data as { readonly headers: Record<string, string> }).headers
const locationOf = (event: Event) => (event.data as { readonly location: string }).location
const throwing = () => {
  throw new Error('secret')
}
const failing = (status: number) => answering({ type: NOT_CREATED, data: { status } })

/** Takes only what has a `username`. */
const NAMED: StandardSchema = {
  '~standard': {
    version: 1,
    vendor: 'contract',
    validate: (value) =>
      typeof Object(value).username === 'string'
        ? { value }
        : { issues: [{ message: 'must be a text', path: ['username'] }] },
  },
}
const SCHEMAS = { options: { events: { 'CreateUser::Requested': NAMED, [CREATED]: NAMED, [NOT_CREATED]: NAMED } } }

const ok200 = ok({ headers: headersOf })
const LATE: Given = { ...PENDING, command: { waitMs: 30, onTimeout: 'gateway-timeout' } }
/** The worker's problem says one status, the command another one. */
const WORKERS = { type: 'about:blank', title: 'Unprocessable', status: 422, code: 'taken' }
const OWN_PROBLEM: Given = {
  ...answering({ type: NOT_CREATED, data: WORKERS }),
  command: { outcomes: { [CREATED]: created(), [NOT_CREATED]: problem(409) } },
}
const TWICE: Given = { backEnd: async () => [{ data: { id: 'ann' } }, { type: NOT_CREATED, data: {} }] }

/** What the gateway refuses to answer for a back end, with 502. */
const UNUSABLE: readonly (readonly [title: string, given: Given])[] = [
  ['F13 a result that is no JSON', answering({ body: '{"id":' })],
  ['F13 a result that breaks its schema', { ...SCHEMAS, ...answering({ data: { id: 1 } }) }],
  ['F18 FM-H7 a line break in a header', outcome(ok200, { headers: { 'x-note': 'a\r\nset-cookie: b=1' } })],
  ['F18 FM-H7 a cookie', outcome(ok200, { headers: { 'set-cookie': 'b=1' } })],
  ['F18 FM-H7 a header that frames', outcome(ok200, { headers: { 'transfer-encoding': 'chunked' } })],
  ['F18 FM-H7 a header that cannot be written', outcome(ok200, { headers: { 'x-note': '€' } })],
  ...[999, 101, 99, 206, 304].map((status) => [`F17 FM-E16 the status ${status}`, failing(status)] as const),
  ...[
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    'javascript:alert(1)',
    '/a\r\nset-cookie: b=1',
  ].map(
    (location) =>
      [`FM-H8 the Location ${JSON.stringify(location)}`, outcome(seeOther(locationOf), { location })] as const,
  ),
]

/** Section F of the contract: what results become. */
const resultCases: readonly HttpCase[] = [
  ...UNUSABLE.map(([title, given]) =>
    check(`${title} is 502`, given, ({ post }) =>
      post().refuses(502, 'ERR_MALFORMED_RESULT', { location: null, 'set-cookie': null, 'x-note': null }),
    ),
  ),
  check('F01 F02 B23 a 201 has a Location and the bytes of the event', answering({ body: EXACT }), ({ post }) =>
    post().is(201, { location: '/users/ann', 'content-location': null }, EXACT),
  ),
  check('F03 a 201 without a URL of its own has no Location', outcome(created(), { id: 'ann' }), ({ post }) =>
    post().is(201, { location: null, 'content-location': null }, { id: 'ann' }),
  ),
  check('F04 a 204 has neither body nor length', outcome(noContent(), {}), ({ post }) =>
    post().is(204, { 'content-length': null, 'content-type': null }, ''),
  ),
  check('B18 return=minimal makes a 200 a 204', outcome(ok(), {}), ({ post }) =>
    post({ prefer: 'return=minimal' }).is(204, { 'preference-applied': 'return=minimal' }, ''),
  ),
  check(
    'F05 F19 a 303 is percent-encoded',
    outcome(seeOther(locationOf), { location: '/users/Jürgen €' }),
    ({ post }) => post().is(303, { location: '/users/J%C3%BCrgen%20%E2%82%AC' }),
  ),
  check('F18 a result can write other headers', outcome(ok200, { headers: { 'X-Note': 'é' } }), ({ post }) =>
    post().is(200, { 'x-note': 'é' }),
  ),
  check(
    'F18 a header and a body can have more than ASCII in them',
    outcome(ok({ headers: headersOf, body: () => 'ü' }), { headers: { 'x-note': 'é' } }),
    ({ post }) => post().is(200, { 'x-note': 'é' }, '"ü"'),
  ),
  check(
    'F18 so can the content type of a result',
    {
      ...answering({ body: '"ü"', contentType: 'application/json; p="é"' }),
      command: { outcomes: { [CREATED]: ok() } },
    },
    ({ post }) => post().is(200, { 'content-type': 'application/json; p="é"' }, '"ü"'),
  ),
  check('F06 F07 G02 G03 G10 a failure is a problem with its data', failing(422), ({ post }) => {
    const type = 'urn:respond-async:problem:user-not-created'
    const described = { type, title: 'User not created', status: 422, code: NOT_CREATED, retry: 'no' }
    return post().is(422, {}, { ...described, instance: /^\/operations\/.{26}$/, data: { status: 422 } })
  }),
  check("G12 the status in a worker's own problem is not the one that is sent", OWN_PROBLEM, async ({ post, get }) => {
    const { json } = await post().refuses(409, NOT_CREATED)
    assert.deepEqual(json['data'], WORKERS)
    await get(`${json['instance']}/result`).refuses(409, NOT_CREATED)
    await get(`${json['instance']}?follow=false`).is(200, {}, { status: 'failed', error: { status: 409 } })
  }),
  check('F12 FM-E19 an outage of the worker is 503 failed', failing(503), ({ post }) =>
    post().is(503, { 'retry-after': /^[1-4]$/ }, { outcome: 'failed', retry: 'new-key', code: NOT_CREATED }),
  ),
  check('F06 FM-H23 a worker that failed is 500', answering({ type: GENERIC, data: {} }), ({ post }) =>
    post().refuses(500, 'ERR_WORKER_FAILED'),
  ),
  check('F08 G13 input that breaks its schema is 422 with pointers', SCHEMAS, async ({ post, requests }) => {
    const { json } = await post({ prefer: 'respond-async' }, { username: 7 }).refuses(422, 'ERR_INVALID_INPUT')
    assert.deepEqual(json['errors'], [{ detail: 'must be a text', pointer: '#/username' }])
    assert.equal(requests.length, 0)
  }),
  check('F10 F11 a late result is 504 with the operation, where the command knows no 202', LATE, ({ post }) =>
    post().refuses(504, 'ERR_RESULT_TIMEOUT', { link: /^<\/operations\/.{26}>; rel="status"$/ }),
  ),
  check(
    'FM-A16 an outcome that throws is 500, time and again',
    outcome(ok({ body: throwing }), {}),
    async ({ post }) => {
      for (let times = 0; times < 2; times += 1) {
        assert.doesNotMatch((await post().refuses(500, 'ERR_MAPPER')).text, /secret/)
      }
    },
  ),
  check('FM-A5 the first of two results stands, everywhere', TWICE, async ({ post, get, gateway, requests }) => {
    await post().is(201)
    const id = String(requests[0]?.correlationId)
    await until(async () => (await gateway.operations.get(id))?.conflictingResult !== undefined)
    await get(`/operations/${id}/result`).is(201)
  }),
]

/** Sections F and G of the contract, and hostile requests. */
export const answerCases: readonly HttpCase[] = [
  ...resultCases,
  check('F14 FM-H12 a body over the limit is 413', {}, ({ post }) =>
    post({}, { username: 'x'.repeat(1_100_000) }).refuses(413, 'ERR_BODY_TOO_LARGE'),
  ),
  check('F14 FM-H12 a body without a length is counted', {}, async ({ raw }) => {
    const chunks = Array<string>(20).fill(`10000\r\n${'x'.repeat(65_536)}\r\n`)
    const received = await raw([`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, ...chunks, '0\r\n\r\n'])
    assert.match(received, /^HTTP\/1\.1 413 [\s\S]*ERR_BODY_TOO_LARGE/)
  }),
  check('F20 Expect: 100-continue is answered before the body is sent', {}, async ({ raw }) => {
    const received = await raw([`${HEAD}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n`, '{}'], { pauseMs: 10 })
    assert.match(received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /)
  }),
  check('F22 FM-E10 FM-E11 who waits when the gateway closes is answered 202', PENDING, async ({ post, gateway }) => {
    const waiting = post({ prefer: 'wait=20' })
    await until(() => gateway.counters.pending === 1)
    const closing = gateway.close({ drainMs: 1000 })
    await waiting.is(202, { connection: 'close', location: /^\/operations\// })
    await post().refuses(503, 'ERR_CLOSED', { connection: 'close', 'retry-after': /^[1-4]$/ })
    await closing
  }),
  check('G01 G04 G05 G08 G09 G11 B15 every refusal is a problem, whatever is accepted', {}, async ({ get, post }) => {
    const accept = { accept: 'application/json' }
    const refused = [
      post({ ...accept, ...JSON_TYPE }, '{').refuses(400, 'ERR_MALFORMED_BODY'),
      post({ ...accept, 'content-type': 'text/plain' }, 'x').refuses(415, 'ERR_UNSUPPORTED_MEDIA_TYPE'),
      post({ ...accept, 'idempotency-key': '' }).refuses(400, 'ERR_IDEMPOTENCY_KEY_INVALID'),
      get('/users', accept).refuses(405, 'ERR_METHOD_NOT_ALLOWED'),
      get('/operations/x', accept).refuses(404, 'ERR_OPERATION_NOT_FOUND'),
      get('/operations/x', { accept: 'text/html' }).refuses(406, 'ERR_NOT_ACCEPTABLE'),
    ]
    for (const { json, text } of await Promise.all(refused)) {
      const name = String(json['code']).slice('ERR_'.length).toLowerCase().replaceAll('_', '-')
      assert.equal(json['type'], `urn:respond-async:problem:${name}`)
      for (const member of Object.keys(json)) assert.match(member, /^[A-Za-z]\w{2,}$/)
      assert.doesNotMatch(text, /\bat .*:\d+:\d+|node_modules/)
    }
  }),
  check('FM-E13 a body that breaks off publishes nothing', {}, async ({ raw, post, requests, errors }) => {
    await raw([`${HEAD}Content-Length: 100\r\n\r\n{"username":`], { pauseMs: 10, leave: true })
    await post().is(201)
    assert.deepEqual([requests.length, errors], [1, []])
  }),
  check('FM-H11 JSON with __proto__, twice the same name, or without end does no harm', {}, async ({ post }) => {
    for (const body of HOSTILE) assert.ok((await post(JSON_TYPE, body).answer).status < 500)
    assert.equal(Object({})['polluted'], undefined)
    await post().is(201)
  }),
]
