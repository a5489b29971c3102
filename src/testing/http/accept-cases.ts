import assert from 'node:assert/strict'
import { until } from '../contract.js'
import { check, type Given, type HttpCase, NOT_CREATED, PENDING } from './world.js'

const ASYNC = { prefer: 'respond-async' }
const URL = /^\/operations\/[0-9A-HJKMNP-TV-Z]{26}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const ACCEPTED = {
  ...{ location: URL, 'content-location': URL, link: /^<\/operations\/.{26}>; rel="status"$/, 'retry-after': '1' },
  ...{ 'cache-control': 'no-store', 'content-type': /^application\/json/, vary: 'Prefer' },
}
const DOCUMENT = {
  id: /^.{26}$/,
  status: 'running',
  createdAt: TIME,
  updatedAt: TIME,
  expiresAt: TIME,
  links: { self: URL },
}

/** Who asks is what the header says. */
const OWNED: Given = { ...PENDING, options: { principal: ({ headers }) => headers['x-user']?.toString() } }
const PUBLIC: Given = { ...PENDING, options: { publicUrl: 'https://api.example/v1/' } }
const POINTING: Given = { ...PENDING, command: { accepted: { location: ({ id }) => `/u/${id}` } } }
const UNMOUNTED: Given = { ...PENDING, operations: false, options: { waitMs: 30 } }
const PRODUCING: Given = { command: { produces: ['application/json'] } }
const GETTING: Given = { command: { methods: ['GET'] } }
/** Whoever asks is refused with the status that a header names. */
const GUARDED: Given = {
  ...PENDING,
  options: {
    principal: ({ headers }) => {
      const status = Number(headers['x-refuse'] ?? 0)
      if (status > 0) throw Object.assign(new Error('refused'), { status })
      return undefined
    },
  },
  command: { produces: ['application/json'] },
}
const REFUSED: readonly (readonly [status: number, code: string, headers: object, body?: unknown])[] = [
  ...[401, 403, 428].map((status) => [status, 'ERR_HOOK', { 'x-refuse': String(status) }] as const),
  [406, 'ERR_NOT_ACCEPTABLE', { accept: 'text/html' }],
  [413, 'ERR_BODY_TOO_LARGE', {}, { username: 'x'.repeat(1_100_000) }],
  [415, 'ERR_UNSUPPORTED_MEDIA_TYPE', { 'content-type': 'text/plain' }],
]
const RESPONDING: Given = { routes: [{ method: 'POST', path: '/users', respond: { data: { username: 'given' } } }] }
const MAPPING: Given = {
  routes: [{ method: 'ALL', path: '/teams/:team/users' }],
  command: {
    input: ({ params, query, body, method }) => ({ params, query, body, method }),
    headers: ({ headers, raw }) => ({ agent: String(headers['x-agent']), raw: typeof raw }),
  },
}
const KNOWING: Given = { command: { exists: ({ body }) => (body as { username?: string }).username !== 'bob' } }

/** Section C of the contract: how requests are taken. */
export const acceptCases: readonly HttpCase[] = [
  check('C02 C03 C04 C05 C06 C07 C11 C15 C16 a 202 shows the operation', PENDING, async ({ post, get, requests }) => {
    const { headers, json } = await post(ASYNC).is(202, ACCEPTED, DOCUMENT)
    assert.equal(headers.location, headers['content-location'])
    assert.equal(requests.length, 1, 'the event is out before the 202')
    assert.deepEqual((await get(String(headers.location)).answer).json, json)
  }),
  check('C01 F12 what the broker refuses is never 202, but 503', { maxQueued: 0 }, async ({ post }) => {
    await post(ASYNC).is(503, { 'retry-after': /^[1-4]$/ }, { outcome: 'not-accepted', retry: 'safe' })
  }),
  check('C03 a 202 may point to what will be', POINTING, ({ post }) =>
    post(ASYNC).is(202, { location: /^\/u\/.{26}$/, 'content-location': URL }),
  ),
  check('C08 FM-H9 no link is made from Host', PENDING, ({ post }) =>
    post({ ...ASYNC, host: 'evil.example', 'x-forwarded-host': 'evil.example' }).is(202, ACCEPTED, DOCUMENT),
  ),
  check('C08 publicUrl makes links absolute', PUBLIC, ({ post }) => {
    const url = /^https:\/\/api\.example\/v1\/operations\/.{26}$/
    return post(ASYNC).is(202, { location: url, 'content-location': url }, { links: { self: url } })
  }),
  check(
    'C09 D10 FM-H2 an operation of somebody else is unknown, to every verb',
    OWNED,
    async ({ defer, get, send }) => {
      const path = await defer({ 'x-user': 'ann' })
      await get(path, { 'x-user': 'ann' }).is(202)
      for (const headers of [{ 'x-user': 'eve' }, {}]) {
        const asked = ['', '/result', '/events'].map((part) => get(path + part, headers))
        for (const one of [...asked, send({ method: 'DELETE', path, headers })])
          await one.refuses(404, 'ERR_OPERATION_NOT_FOUND')
      }
    },
  ),
  check('C10 the URL of an operation is that of nothing else', PENDING, async ({ defer, get, answer }) => {
    const urls: unknown[] = ['/users']
    for (const id of ['ann', 'eve']) {
      const url = await defer()
      const { json } = await get(url).is(202, {}, { id: url.slice('/operations/'.length), links: { self: url } })
      await answer(url, { data: { id } })
      const { headers } = await get(`${url}/result`).is(201)
      urls.push(...Object.values(Object(json['links'])), headers.location)
    }
    assert.equal(new Set(urls).size, 1 + 2 * ['self', 'events', 'result', 'location'].length, `${urls}`)
  }),
  check('C12 F08 malformed JSON is 400, however it is asked for', {}, async ({ post, requests }) => {
    await post({ ...ASYNC, 'content-type': 'application/json' }, '{"username":').refuses(400, 'ERR_MALFORMED_BODY')
    assert.equal(requests.length, 0)
  }),
  check('C13 F09 another media type is 415, and is told which will do', {}, async ({ post, requests }) => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/xml']) {
      const answer = post({ ...ASYNC, 'content-type': type }, 'username=ann')
      await answer.refuses(415, 'ERR_UNSUPPORTED_MEDIA_TYPE', { accept: 'application/json' })
    }
    assert.equal(requests.length, 0)
  }),
  check('C13 D17 what a command cannot produce is 406', PRODUCING, async ({ post, requests }) => {
    await post({ ...ASYNC, accept: 'text/html' }).refuses(406, 'ERR_NOT_ACCEPTABLE')
    await post({ accept: 'text/html, application/*;q=0.1' }).is(201)
    assert.equal(requests.length, 1)
  }),
  check('C13 what can be refused is refused before the 202, and nothing is published', GUARDED, async (world) => {
    const { post, requests, gateway } = world
    for (const [status, code, headers, body] of REFUSED)
      await post({ ...ASYNC, ...headers }, body).refuses(status, code)
    const { json } = await post(ASYNC).is(202)
    await until(() => requests.length > 0)
    // Requests come in their order: no other one is still on its way.
    assert.deepEqual([requests.map(({ id }) => id), gateway.counters.created], [[json['id']], 1])
  }),
  check('C17 a result after the 202 ends the operation, once', PENDING, async ({ defer, get, answer, gateway }) => {
    const url = await defer()
    for (const id of ['ann', 'eve']) await answer(url, { data: { id } })
    await answer(url, { type: NOT_CREATED, data: {} })
    await until(() => gateway.counters.duplicate === 1 && gateway.counters.conflict === 1)
    await get(`${url}/result`).is(201, { location: '/users/ann' }, { id: 'ann' })
    assert.equal(gateway.counters.completed, 1)
  }),
  check('C17 after the end there is no other 202', PENDING, async ({ defer, answer, post }) => {
    const key = { 'idempotency-key': 'k' }
    await answer(await defer(key))
    for (const prefer of ['respond-async', 'wait=0']) await post({ ...key, prefer }).is(201, { location: '/users/ann' })
  }),
  check('C19 FM-H26 HEAD, OPTIONS and GET publish nothing', {}, async ({ send, get, requests }) => {
    const allow = 'POST, PUT, PATCH, DELETE, OPTIONS'
    await send({ method: 'OPTIONS', path: '/users' }).is(204, { allow, vary: 'Prefer' }, '')
    await send({ method: 'HEAD', path: '/users' }).is(405, { allow }, '')
    await get('/users', { 'x-http-method-override': 'POST' }).refuses(405, 'ERR_METHOD_NOT_ALLOWED', { allow })
    assert.equal(requests.length, 0)
  }),
  check('B28 a GET publishes where the command lists it', GETTING, async ({ get, post, requests }) => {
    await get('/users').is(201)
    await post().refuses(405, 'ERR_METHOD_NOT_ALLOWED', { allow: 'GET, OPTIONS' })
    assert.equal(requests.length, 1)
  }),
  check('C20 FM-E1 FM-A17 the operation of a client that left goes on', PENDING, async (world) => {
    const { post, gateway, requests, answer, errors } = world
    const left = post({ 'idempotency-key': 'k' })
    await until(() => requests.length === 1 && gateway.counters.pending === 1)
    left.abort()
    await until(() => gateway.counters.pending === 0)
    await answer(`/operations/${requests[0]?.correlationId}`)
    await post({ 'idempotency-key': 'k' }).is(201, { 'idempotent-replayed': 'true' })
    assert.deepEqual([gateway.counters.gone, requests.length, errors], [1, 1, []])
  }),
  check('F10 FM-E14 without operations nothing is deferred', UNMOUNTED, ({ post }) =>
    post(ASYNC).refuses(504, 'ERR_RESULT_TIMEOUT', { location: null, link: null }),
  ),
  check('B01 a handler of the application responds with a command', RESPONDING, ({ post }) =>
    post().is(201, { vary: 'Prefer' }, { id: 'given' }),
  ),
  check('B01 E09 the event is made of path, query, headers and body', MAPPING, async ({ send, requests }) => {
    const headers = { 'x-agent': 'test', 'if-match': '"7"' }
    await send({ method: 'PUT', path: '/teams/a%20b/users?x=1&y=2&y=3', headers, body: { name: 'ann' } }).is(201)
    const { body = [], headers: forwarded } = requests[0] ?? {}
    const query = { x: '1', y: ['2', '3'] }
    const data = { params: { team: 'a b' }, query, body: { name: 'ann' }, method: 'PUT' }
    assert.deepEqual(JSON.parse(Buffer.from(body).toString()), data)
    assert.deepEqual({ ...forwarded }, { agent: 'test', raw: 'object', 'if-match': '"7"' })
  }),
  check('E08 what is there already is not created where nothing may be', KNOWING, async ({ post, send, requests }) => {
    const none = { 'if-none-match': ' * ' }
    await post(none).refuses(412, 'ERR_PRECONDITION_FAILED')
    assert.deepEqual(requests, [])
    await post({ 'if-none-match': '"7"' }).is(201)
    await send({ method: 'POST', path: '/users', headers: none, body: { username: 'bob' } }).is(201)
    assert.equal(requests.length, 2)
  }),
]
