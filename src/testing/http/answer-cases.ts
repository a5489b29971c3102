import assert from 'node:assert/strict'
import type { Event } from '../../core/event.js'
import type { StandardSchema } from '../../core/schema.js'
import { noContent, ok, problem, seeOther } from '../../http/outcomes.js'
import { until } from '../contract.js'
import { type Answer, assertAnswer, type Expected, jsonOf } from './client.js'
import { type Given, type HttpCase, httpCase, type Result, SILENT, user } from './world.js'

type Data = Readonly<Record<string, never>>

const NOT_CREATED = 'CreateUser::UserNotCreated'
const HEAD = 'POST /users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n'

/** The back end answers with this event. */
function answering(result: Result, expected: Expected, command: Given['command'] = {}): Given {
  return { backEnd: async () => [result], expected, command }
}

/** The command has this outcome for its result, and the back end answers with these data. */
function outcome(made: object, data: object, expected: Expected): Given {
  return answering({ data }, expected, { outcomes: { 'CreateUser::UserCreated': made as never } })
}

function refusal(status: number, code: string): Expected {
  return { status, headers: { 'content-type': /^application\/problem\+json/, vary: 'Prefer' }, body: { status, code } }
}

const UNUSABLE = refusal(502, 'ERR_MALFORMED_RESULT')
const headersOf = (event: Event<string, unknown>) => (event.data as { headers: Record<string, string> }).headers
const locationOf = (event: Event<string, unknown>) => (event.data as { location: string }).location

/** Accepts objects whose `username` is a text. */
const userSchema: StandardSchema = {
  '~standard': {
    version: 1,
    vendor: 'contract',
    validate: (value) => {
      const isValid = typeof (value as Data | undefined)?.['username'] === 'string'
      return isValid ? { value } : { issues: [{ message: 'must be a text', path: ['username'] }] }
    },
  },
}
const anySchema: StandardSchema = { '~standard': { version: 1, vendor: 'contract', validate: (value) => ({ value }) } }
const events = { 'CreateUser::Requested': userSchema, 'CreateUser::UserCreated': userSchema, [NOT_CREATED]: anySchema }

const post: HttpCase['run'] & ((world: { post: () => Promise<Answer> }) => Promise<Answer>) = (world) => world.post() as never

/** Sections F and G of the contract: what results and failures become. */
export const answerCases: readonly HttpCase[] = [
  httpCase(
    'F01 F02 F03 a 201 has a Location, the bytes of the event, and claims no more',
    answering(
      { body: '{"id":"ann","amount":12345678901234567890.10}' },
      {
        status: 201,
        headers: { location: '/users/ann', 'content-location': null, 'content-type': /^application\/json/, vary: 'Prefer' },
        body: '{"id":"ann","amount":12345678901234567890.10}',
      },
    ),
    post,
  ),
  httpCase(
    'F04 a 204 has neither body nor length',
    outcome(noContent(), {}, { status: 204, headers: { 'content-length': null, 'content-type': null }, body: '' }),
    post,
  ),
  httpCase(
    'F05 a 303 leads to what exists already',
    outcome(seeOther(locationOf), { location: '/users/1' }, { status: 303, headers: { location: '/users/1' } }),
    post,
  ),
  httpCase(
    'B18 return=minimal makes a 200 a 204',
    outcome(ok(), { id: 1 }, { status: 204, headers: { 'preference-applied': 'return=minimal' }, body: '' }),
    (world) => world.post({ prefer: 'return=minimal' }),
  ),
  httpCase(
    'F06 F07 G02 G03 G10 G12 a failure is a problem with its status, and shows its data',
    answering(
      { type: NOT_CREATED, data: { reason: 'duplicate', status: 422 } },
      {
        status: 422,
        headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
        body: {
          type: 'urn:respond-async:problem:user-not-created',
          ...{ title: 'User not created', status: 422, instance: /^\/operations\/.{26}$/, code: NOT_CREATED, retry: 'no' },
          data: { reason: 'duplicate' },
        },
      },
    ),
    post,
  ),
  httpCase(
    'F06 FM-H23 a worker that failed is 500, and says no more than it meant to',
    answering({ type: 'CreateUser::Requested::Failed', data: { reason: 'failed' } }, refusal(500, 'ERR_WORKER_FAILED')),
    post,
  ),
  httpCase(
    "F12 FM-E19 an outage that the worker declares is 503 failed, and not the gateway's",
    answering(
      { type: NOT_CREATED, data: { status: 503 } },
      { status: 503, headers: { 'retry-after': /^[1-4]$/ }, body: { outcome: 'failed', retry: 'new-key', code: NOT_CREATED } },
    ),
    post,
  ),
  httpCase('F08 G13 input that breaks its schema is 422 with pointers', { options: { events } }, async ({ send, requests }) => {
    const answer = await send(user({ prefer: 'respond-async' }, { username: 7 }))
    assertAnswer(answer, refusal(422, 'ERR_INVALID_INPUT'))
    assert.deepEqual(jsonOf(answer)['errors'], [{ detail: 'must be a text', pointer: '#/username' }])
    assert.equal(requests.length, 0)
  }),
  httpCase('F13 a result that breaks its schema is 502', { ...answering({ data: { id: 1 } }, UNUSABLE), options: { events } }, post),
  httpCase('F13 a result that is no JSON is 502', answering({ body: '{"id":' }, UNUSABLE), post),
  httpCase(
    'F10 F11 a late result is 504 with the operation, where the command knows no 202',
    {
      backEnd: SILENT,
      command: { waitMs: 30, onTimeout: 'gateway-timeout' },
      expected: { ...refusal(504, 'ERR_RESULT_TIMEOUT'), headers: { link: /^<\/operations\/.{26}>; rel="status"$/ } },
    },
    post,
  ),
  ...[999, 101, 304, 206, 99].map((status) =>
    httpCase(
      `F17 FM-E16 a result cannot make ${status} the status`,
      answering({ type: NOT_CREATED, data: { status } }, UNUSABLE),
      post,
    ),
  ),
  ...[
    ['a line break', { 'x-note': 'a\r\nset-cookie: b=1' }],
    ['a cookie', { 'set-cookie': 'b=1' }],
    ['framing', { 'transfer-encoding': 'chunked' }],
    ['what no header can hold', { 'x-note': '€' }],
  ].map(([what, headers]) =>
    httpCase(
      `F18 FM-H7 a result cannot write ${what} into the headers`,
      outcome(ok({ headers: headersOf }), { headers }, { ...UNUSABLE, headers: { 'set-cookie': null, 'x-note': null } }),
      post,
    ),
  ),
  httpCase(
    'F18 a result can write other headers',
    outcome(ok({ headers: headersOf }), { headers: { 'X-Note': 'é' } }, { status: 200, headers: { 'x-note': 'é' } }),
    post,
  ),
  httpCase(
    'F19 a Location is percent-encoded',
    outcome(seeOther(locationOf), { location: '/users/Jürgen €' }, { status: 303, headers: { location: '/users/J%C3%BCrgen%20%E2%82%AC' } }),
    post,
  ),
  ...['https://evil.example/', '//evil.example/', '/\\evil.example', 'javascript:alert(1)', '/a\r\nset-cookie: b=1'].map((location) =>
    httpCase(
      `FM-H8 a result cannot lead to ${JSON.stringify(location)}`,
      outcome(seeOther(locationOf), { location }, { ...UNUSABLE, headers: { location: null, 'set-cookie': null } }),
      post,
    ),
  ),
  httpCase('FM-A16 an outcome that throws is 500, and the next request is answered', {
    ...outcome({ state: 'succeeded', answer: () => { throw new Error('secret') } }, {}, refusal(500, 'ERR_MAPPER')),
  }, async (world) => {
    assert.doesNotMatch((await world.post()).text, /secret/)
    return world.post()
  }),
  httpCase(
    'F14 FM-H12 a body over the limit is 413',
    { options: { bodyLimit: 2_000_000 }, expected: refusal(413, 'ERR_BODY_TOO_LARGE') },
    (world) => world.post({}, { username: 'x'.repeat(2_000_000) }),
  ),
  httpCase('F14 FM-H12 a body without a length is counted', { options: { bodyLimit: 2_000_000 } }, async ({ client }) => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const received = await client.raw([`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, ...Array(32).fill(chunk), '0\r\n\r\n'])
    assert.match(received, /^HTTP\/1\.1 413 [^]*ERR_BODY_TOO_LARGE/)
  }),
  httpCase('F20 Expect: 100-continue is answered before the body is sent', {}, async ({ client }) => {
    const received = await client.raw([`${HEAD}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n`, '{}'], { pauseMs: 10 })
    assert.match(received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /)
  }),
  httpCase(
    'F21 FM-A5 the first of two results stands, everywhere',
    { backEnd: async () => [{ data: { id: 'ann' } }, { type: NOT_CREATED, data: {} }] },
    async ({ client, gateway, get, requests }) => {
      assertAnswer(await client.send(user()), { status: 201 })
      await until(() => gateway.counters.conflict === 1)
      assertAnswer(await get(`/operations/${requests[0]?.correlationId}/result`), { status: 201 })
    },
  ),
  httpCase('F22 FM-E10 FM-E11 who waits when the gateway closes is answered 202', { backEnd: SILENT }, async ({ client, gateway, post }) => {
    const waiting = client.start(user({ prefer: 'wait=20' }))
    await until(() => gateway.counters.pending === 1)
    const closing = gateway.close({ drainMs: 1000 })
    const headers = { connection: 'close', location: /^\/operations\// }
    assertAnswer(await waiting.answer, { status: 202, headers })
    const refused = { ...refusal(503, 'ERR_CLOSED'), headers: { connection: 'close', 'retry-after': /^[1-4]$/ } }
    assertAnswer(await post(), refused)
    await closing
  }),
  httpCase('G01 G04 G05 G08 G09 G11 every refusal is a problem, whatever is accepted', {}, async ({ send, get }) => {
    const accept = { accept: 'application/json' }
    const refused = [
      await send({ ...user({ ...accept, 'content-type': 'application/json' }), body: '{' }),
      await send({ ...user({ ...accept, 'content-type': 'text/plain' }), body: 'x' }),
      await send({ path: '/users', headers: accept }),
      await get('/operations/x', accept),
      await get('/operations/x', { accept: 'text/html' }),
      await send(user({ ...accept, 'idempotency-key': '' })),
    ]
    assert.deepEqual(refused.map(({ status }) => status), [400, 415, 405, 404, 406, 400])
    for (const answer of refused) {
      const document = jsonOf(answer)
      assertAnswer(answer, refusal(answer.status, String(document['code'])))
      assert.equal(document['type'], `urn:respond-async:problem:${String(document['code']).slice(4).toLowerCase().replaceAll('_', '-')}`)
      for (const name of Object.keys(document)) assert.match(name, /^[A-Za-z]\w{2,}$/)
      assert.doesNotMatch(answer.text, /\bat .*:\d+:\d+|node_modules/)
    }
  }),
  httpCase('FM-E13 a body that breaks off publishes nothing', {}, async ({ client, requests, errors, post }) => {
    await client.raw([`${HEAD}Content-Length: 100\r\n\r\n{"username":`], { pauseMs: 10, leave: true })
    assertAnswer(await post(), { status: 201 })
    assert.deepEqual([requests.length, errors.length], [1, 0])
  }),
  httpCase('FM-H11 JSON with __proto__, or without end, does no harm', {}, async ({ send, post, requests }) => {
    const headers = { 'content-type': 'application/json' }
    for (const body of ['{"__proto__":{"polluted":1},"username":"a","username":"b"}', `${'['.repeat(50_000)}${']'.repeat(50_000)}`]) {
      assert.ok((await send({ ...user(headers), body })).status < 500)
    }
    assert.equal(({} as Data)['polluted'], undefined)
    assertAnswer(await post({ __proto__x: '1' }), { status: 201 })
    assert.ok(requests.length >= 1)
  }),
]
