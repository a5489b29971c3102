import assert from 'node:assert/strict'
import { until } from '../contract.js'
import { type Answer, assertAnswer, assertMatches, type Expected, jsonOf } from './client.js'
import { type Given, type HttpCase, httpCase, idOf, SILENT, user } from './world.js'

const URL = /^\/operations\/[0-9A-HJKMNP-TV-Z]{26}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const PENDING: Given = { backEnd: SILENT }
const ASYNC = { prefer: 'respond-async' }

const DOCUMENT = { id: /^.{26}$/, status: 'running', createdAt: TIME, updatedAt: TIME, expiresAt: TIME, links: { self: URL } }

const ACCEPTED: Expected = {
  status: 202,
  headers: {
    ...{ location: URL, 'content-location': URL, link: /^<\/operations\/.{26}>; rel="status"$/, 'retry-after': '1' },
    ...{ 'cache-control': 'no-store', 'content-type': /^application\/json/, vary: 'Prefer' },
  },
  body: DOCUMENT,
}

/** Who asks is what the header says. */
const owned: Given = {
  options: { principal: ({ headers }) => headers['x-user'] as string | undefined },
  backEnd: SILENT,
}

function refused(answer: Answer, status: number, code: string): void {
  assertAnswer(answer, { status, headers: { 'content-type': /^application\/problem\+json/, vary: /Prefer/ }, body: { status, code } })
}

/** Section C of the contract: how requests are taken. */
export const acceptCases: readonly HttpCase[] = [
  httpCase(
    'C02 C03 C04 C05 C06 C07 C15 C16 I02 a 202 says where the operation is, and how it stands',
    { ...PENDING, expected: ACCEPTED },
    async ({ post, requests }) => {
      const answer = await post(ASYNC)
      assert.equal(answer.headers.location, answer.headers['content-location'])
      assert.equal(requests.length, 1, 'the event is out before the 202')
      return answer
    },
  ),
  httpCase(
    'C01 F12 what the broker refuses is never 202, but 503 not-accepted',
    {
      maxQueued: 0,
      expected: { status: 503, headers: { 'retry-after': /^[1-4]$/ }, body: { outcome: 'not-accepted', retry: 'safe' } },
    },
    ({ post }) => post(ASYNC),
  ),
  httpCase('C08 FM-H9 no link is made from Host', { ...PENDING, expected: ACCEPTED }, ({ post }) =>
    post({ ...ASYNC, host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }),
  ),
  httpCase(
    'C08 publicUrl makes links absolute',
    { ...PENDING, options: { publicUrl: 'https://api.example/v1/' } },
    async ({ post }) => {
      const answer = await post(ASYNC)
      const url = /^https:\/\/api\.example\/v1\/operations\/.{26}$/
      assertAnswer(answer, { headers: { location: url, 'content-location': url }, body: { links: { self: url } } })
    },
  ),
  httpCase('C09 D10 FM-H2 an operation of somebody else is unknown, on every verb', owned, async (world) => {
    const path = await world.defer({ 'x-user': 'ann' })
    assertAnswer(await world.get(path, { 'x-user': 'ann' }), { status: 202 })
    for (const principal of [{ 'x-user': 'eve' }, {}]) {
      for (const method of ['GET', 'DELETE']) {
        refused(await world.send({ method, path, headers: principal }), 404, 'ERR_OPERATION_NOT_FOUND')
      }
      refused(await world.get(`${path}/result`, principal), 404, 'ERR_OPERATION_NOT_FOUND')
      refused(await world.get(`${path}/events`, principal), 404, 'ERR_OPERATION_NOT_FOUND')
    }
  }),
  httpCase('C11 the 202 and the operation show one document', PENDING, async ({ post, get }) => {
    const answer = await post(ASYNC)
    assert.deepEqual(jsonOf(await get(String(answer.headers.location))), jsonOf(answer))
  }),
  httpCase('C12 F08 malformed JSON is 400, however it is asked for', {}, async ({ send, requests }) => {
    const headers = { ...ASYNC, 'content-type': 'application/json' }
    refused(await send({ ...user(headers), body: '{"username":' }), 400, 'ERR_MALFORMED_BODY')
    assert.equal(requests.length, 0)
  }),
  httpCase('C13 F09 another media type is 415, and told which will do', {}, async ({ send, requests }) => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/xml']) {
      const answer = await send({ ...user({ ...ASYNC, 'content-type': type }), body: 'username=ann' })
      refused(answer, 415, 'ERR_UNSUPPORTED_MEDIA_TYPE')
      assert.equal(answer.headers.accept, 'application/json')
    }
    assert.equal(requests.length, 0)
  }),
  httpCase('C13 D17 what cannot be produced is 406', { command: { produces: ['application/json'] } }, async ({ post, requests }) => {
    refused(await post({ ...ASYNC, accept: 'text/html' }), 406, 'ERR_NOT_ACCEPTABLE')
    assertAnswer(await post({ accept: 'text/html, application/*;q=0.1' }), { status: 201 })
    assert.equal(requests.length, 1)
  }),
  httpCase('C17 a result after the 202 ends the operation once', PENDING, async ({ post, get, answer, gateway }) => {
    const url = String((await post(ASYNC)).headers.location)
    await answer(url, { data: { id: 'ann' } })
    await answer(url, { type: 'CreateUser::UserNotCreated', data: {} })
    await until(() => gateway.counters.conflict === 1)
    assertAnswer(await get(`${url}/result`), { status: 201, headers: { location: '/users/ann' } })
  }),
  httpCase('C19 FM-H26 HEAD, OPTIONS and GET publish nothing', {}, async ({ send, requests }) => {
    const allow = 'POST, PUT, PATCH, DELETE, OPTIONS'
    assertAnswer(await send({ method: 'OPTIONS', path: '/users' }), { status: 204, headers: { allow, vary: 'Prefer' } })
    assertAnswer(await send({ method: 'HEAD', path: '/users' }), { status: 405, headers: { allow }, body: '' })
    const answer = await send({ path: '/users', headers: { 'x-http-method-override': 'POST' } })
    refused(answer, 405, 'ERR_METHOD_NOT_ALLOWED')
    assert.equal(requests.length, 0)
  }),
  httpCase('B28 a GET publishes where the command lists it', { command: { methods: ['GET'] } }, async ({ send, requests }) => {
    assertAnswer(await send({ path: '/users' }), { status: 201 })
    assertAnswer(await send(user()), { status: 405, headers: { allow: 'GET, OPTIONS' } })
    assert.equal(requests.length, 1)
  }),
  httpCase('C20 FM-E1 FM-A17 the operation of a client that left goes on', PENDING, async (world) => {
    const { client, gateway, requests, answer, errors } = world
    const exchange = client.start(user({ 'idempotency-key': 'k' }))
    await until(() => requests.length === 1 && gateway.counters.pending === 1)
    exchange.abort()
    await until(() => gateway.counters.pending === 0)
    assert.equal(gateway.counters.gone, 1)
    await answer(`/operations/${requests[0]?.correlationId}`, { data: { id: 'ann' } })
    assertAnswer(await world.post({ 'idempotency-key': 'k' }), { status: 201, headers: { 'idempotent-replayed': 'true' } })
    assert.deepEqual([requests.length, errors.length], [1, 0])
  }),
  httpCase(
    'C03 a 202 may point to the resource that will be',
    { ...PENDING, command: { accepted: { location: ({ id }) => `/users/${id}` } } },
    async ({ post }) => {
      const { headers } = await post(ASYNC)
      assert.equal(headers.location, `/users/${idOf(String(headers['content-location']))}`)
    },
  ),
  httpCase(
    'F10 F11 FM-E14 without operations nothing is deferred, and a late result is 504',
    { ...PENDING, operations: false, options: { waitMs: 30 }, expected: { status: 504, headers: { location: null, link: null } } },
    ({ post }) => post(ASYNC),
  ),
  httpCase(
    'B01 a handler of the application responds with a command',
    { routes: [{ method: 'POST', path: '/users', respond: { data: { username: 'given' } } }] },
    async ({ post, requests }) => {
      assertAnswer(await post(), { status: 201, body: { id: 'given' } })
      assert.equal(requests.length, 1)
    },
  ),
  httpCase(
    'B01 the event is made of parameters, query, headers and body',
    {
      routes: [{ method: 'ALL', path: '/teams/:team/users' }],
      command: {
        input: ({ params, query, body, method }) => ({ params, query, body, method }),
        headers: ({ headers, raw }) => ({ agent: String(headers['x-agent']), raw: typeof raw }),
      },
    },
    async ({ send, requests }) => {
      const headers = { 'x-agent': 'test', 'if-match': '"7"' }
      await send({ method: 'PUT', path: '/teams/a%20b/users?x=1&y=2&y=3', headers, body: { username: 'ann' } })
      const [event] = requests
      const data = { params: { team: 'a b' }, query: { x: '1', y: ['2', '3'] }, body: { username: 'ann' }, method: 'PUT' }
      assertMatches(JSON.parse(Buffer.from(event?.body ?? []).toString()), data)
      assertMatches(event?.headers, { agent: 'test', raw: 'object', 'if-match': '"7"' })
    },
  ),
]
