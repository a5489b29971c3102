import assert from 'node:assert/strict'
import { until } from '../contract.js'
import { assertAnswer, type Expected } from './client.js'
import { type Given, type HttpCase, httpCase, SILENT, user } from './world.js'

const PENDING: Given = { backEnd: SILENT }
const KEY = { 'idempotency-key': '"8e03978e"' }
const REPLAYED = { 'idempotent-replayed': 'true' }

function refusal(status: number, code: string): Expected {
  return { status, headers: { 'content-type': /^application\/problem\+json/ }, body: { status, code } }
}

/** Section H of the contract: a request that is sent again. */
export const idempotencyCases: readonly HttpCase[] = [
  httpCase('H01 H02 H09 H16 a key, quoted or bare, gets the first answer again', {}, async ({ post, requests }) => {
    const first = await post(KEY)
    assertAnswer(first, { status: 201, headers: { 'idempotent-replayed': null } })
    const again = await post({ 'idempotency-key': '8e03978e' })
    const { location, 'content-type': type } = first.headers
    assertAnswer(again, { status: 201, headers: { ...REPLAYED, location: String(location), 'content-type': String(type) } })
    assert.deepEqual([again.text, requests.length], [first.text, 1])
  }),
  httpCase(
    'H09 a failure is replayed too, and invites nobody to come back',
    { backEnd: async () => [{ type: 'CreateUser::UserNotCreated', data: { status: 503 } }] },
    async ({ post, requests }) => {
      assertAnswer(await post(KEY), { status: 503, headers: { 'retry-after': /^\d$/ } })
      assertAnswer(await post(KEY), { status: 503, headers: { ...REPLAYED, 'retry-after': null }, body: { outcome: 'failed' } })
      assert.equal(requests.length, 1)
    },
  ),
  httpCase('H03 H04 H14 a key that is no key is 400', {}, async ({ post, requests }) => {
    for (const key of [['"a"', '"b"'], '', '""', 'x'.repeat(256), '"é"', 'a b']) {
      assertAnswer(await post({ 'idempotency-key': key }), refusal(400, 'ERR_IDEMPOTENCY_KEY_INVALID'))
    }
    assertAnswer(await post({ 'idempotency-key': 'x'.repeat(255) }), { status: 201 })
    assert.equal(requests.length, 1)
  }),
  httpCase(
    'H06 a key that is required and missing is 400',
    { command: { idempotencyKey: 'required' }, expected: refusal(400, 'ERR_IDEMPOTENCY_KEY_MISSING') },
    ({ post }) => post(),
  ),
  httpCase('H07 FM-E3 another request with the same key is 422', {}, async ({ post, requests }) => {
    await post(KEY)
    assertAnswer(await post(KEY, { username: 'bob' }), refusal(422, 'ERR_IDEMPOTENCY_MISMATCH'))
    assert.equal(requests.length, 1)
  }),
  httpCase('H08 a command may refuse a repetition while the first runs', { ...PENDING, command: { onConcurrent: 'conflict' } }, async ({ post }) => {
    await post({ ...KEY, prefer: 'respond-async' })
    assertAnswer(await post(KEY), { ...refusal(409, 'ERR_IDEMPOTENCY_IN_USE'), headers: { 'retry-after': '1' } })
  }),
  httpCase('H10 a refused request leaves its key free', { ...PENDING }, async ({ send, post, requests }) => {
    await send({ ...user({ ...KEY, 'content-type': 'application/json' }), body: '{' })
    assertAnswer(await post({ ...KEY, prefer: 'respond-async' }), { status: 202 })
    assert.equal(requests.length, 1)
  }),
  httpCase('H11 FM-E2 FM-A15 a repetition joins the running operation, and waits as it prefers', PENDING, async (world) => {
    const { client, post, gateway, requests } = world
    const first = await post({ ...KEY, prefer: 'respond-async' })
    const url = String(first.headers.location)
    assertAnswer(await post({ ...KEY, prefer: 'respond-async' }), { status: 202, headers: { location: url } })
    const waiting = client.start(user(KEY))
    await until(() => gateway.counters.pending === 1)
    await world.answer(url, { data: { id: 'ann' } })
    assertAnswer(await waiting.answer, { status: 201 })
    assertAnswer(await post({ ...KEY, prefer: 'respond-async' }), { status: 201, headers: REPLAYED })
    assert.equal(requests.length, 1)
  }),
  httpCase('H12 the order of members makes no other request', {}, async ({ post, requests }) => {
    await post(KEY, { username: 'ann', age: 1 })
    assertAnswer(await post(KEY, { age: 1, username: 'ann' }), { status: 201, headers: REPLAYED })
    assert.equal(requests.length, 1)
  }),
  httpCase(
    'H13 FM-E4 FM-H25 the key of somebody else is another key',
    { options: { principal: ({ headers }) => headers['x-user'] as string | undefined } },
    async ({ post, requests }) => {
      for (const name of ['ann', 'eve']) {
        const headers = { ...KEY, 'x-user': name }
        assertAnswer(await post(headers, { username: name }), { status: 201, headers: { 'idempotent-replayed': null } })
      }
      assert.equal(requests.length, 2)
    },
  ),
  httpCase('H15 a key on a GET is ignored', { command: { methods: ['GET'] } }, async ({ send, requests }) => {
    for (let times = 0; times < 2; times += 1) await send({ path: '/users', headers: KEY })
    assert.equal(requests.length, 2)
  }),
  httpCase('H18 two firsts at once are one request', {}, async ({ post, requests }) => {
    const answers = await Promise.all([post(KEY), post(KEY), post(KEY)])
    assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1)
    assert.equal(requests.length, 1)
  }),
]
