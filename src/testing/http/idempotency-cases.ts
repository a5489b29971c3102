import assert from 'node:assert/strict'
import { until } from '../contract.js'
import { check, type Given, type HttpCase, NOT_CREATED, PENDING } from './world.js'

const KEY = { 'idempotency-key': '"8e03978e"' }
const ASYNC = { ...KEY, prefer: 'respond-async' }
const REPLAYED = { 'idempotent-replayed': 'true' }
const OWNED: Given = { options: { principal: ({ headers }) => headers['x-user']?.toString() } }
const OUTAGE: Given = { backEnd: async () => [{ type: NOT_CREATED, data: { status: 503 } }] }
const REQUIRED: Given = { command: { idempotencyKey: 'required' } }
const CONFLICT: Given = { ...PENDING, command: { onConcurrent: 'conflict' } }
const INVALID = [['"a"', '"b"'], '', '""', 'x'.repeat(256), '"é"', 'a b']

/** Section H of the contract: a request that is sent again. */
export const idempotencyCases: readonly HttpCase[] = [
  check('H01 H02 H09 H16 a key, quoted or bare, gets the first answer again', {}, async ({ post, requests }) => {
    const { headers, text } = await post(KEY).is(201, { 'idempotent-replayed': null })
    const same = { location: headers.location, 'content-type': headers['content-type'] }
    await post({ 'idempotency-key': '8e03978e' }).is(201, { ...REPLAYED, ...same }, text)
    assert.equal(requests.length, 1)
  }),
  check('H09 a failure is replayed too, and invites nobody to come back', OUTAGE, async ({ post, requests }) => {
    await post(KEY).is(503, { 'retry-after': /^\d$/ }, { outcome: 'failed' })
    await post(KEY).is(503, { ...REPLAYED, 'retry-after': null }, { outcome: 'failed' })
    assert.equal(requests.length, 1)
  }),
  check('H03 H04 a key that is no key is 400', {}, async ({ post, requests }) => {
    for (const key of INVALID) await post({ 'idempotency-key': key }).refuses(400, 'ERR_IDEMPOTENCY_KEY_INVALID')
    await post({ 'idempotency-key': 'x'.repeat(255) }).is(201)
    assert.equal(requests.length, 1)
  }),
  check('H14 for a key that is no key nothing is looked up', {}, async ({ post, storeCalls }) => {
    // Housekeeping asks the store for other things, whenever it likes.
    const lookUps = () => storeCalls.filter((call) => /^(create|get|complete|records\.\w+)$/.test(call))
    for (const key of INVALID) await post({ 'idempotency-key': key }).is(400)
    assert.deepEqual(lookUps(), [])
    await post(KEY).is(201)
    assert.equal(lookUps()[0], 'create')
  }),
  check('H06 a key that is required and missing is 400', REQUIRED, async ({ post }) => {
    await post().refuses(400, 'ERR_IDEMPOTENCY_KEY_MISSING')
    await post(KEY).is(201)
  }),
  check('H07 FM-E3 another request with the same key is 422', {}, async ({ post, requests }) => {
    await post(KEY).is(201)
    await post(KEY, { username: 'bob' }).refuses(422, 'ERR_IDEMPOTENCY_MISMATCH')
    assert.equal(requests.length, 1)
  }),
  check('H08 a command may refuse what would join', CONFLICT, async ({ post }) => {
    await post(ASYNC).is(202)
    await post(KEY).refuses(409, 'ERR_IDEMPOTENCY_IN_USE', { 'retry-after': '1' })
  }),
  check('H10 a refused request leaves its key free', {}, async ({ post }) => {
    await post({ ...KEY, 'content-type': 'application/json' }, '{').is(400)
    await post(KEY).is(201, { 'idempotent-replayed': null })
  }),
  check('H11 FM-E2 FM-A15 a repetition joins', PENDING, async ({ post, answer, gateway, requests }) => {
    const url = String((await post(ASYNC).is(202)).headers.location)
    await post(ASYNC).is(202, { location: url })
    const waiting = post(KEY)
    await until(() => gateway.counters.pending === 1)
    await answer(url)
    await waiting.is(201)
    await post(ASYNC).is(201, REPLAYED)
    assert.equal(requests.length, 1)
  }),
  check('H12 the order of members makes no other request', {}, async ({ post, requests }) => {
    await post(KEY, { username: 'ann', age: 1 }).is(201)
    await post(KEY, { age: 1, username: 'ann' }).is(201, REPLAYED)
    assert.equal(requests.length, 1)
  }),
  check('H13 FM-E4 FM-H25 the key of somebody else is another key', OWNED, async ({ post, requests }) => {
    for (const username of ['ann', 'eve']) {
      await post({ ...KEY, 'x-user': username }, { username }).is(
        201,
        { 'idempotent-replayed': null },
        { id: username },
      )
    }
    assert.equal(requests.length, 2)
  }),
  check('H15 a key on a GET is ignored', { command: { methods: ['GET'] } }, async ({ get, requests }) => {
    for (let times = 0; times < 2; times += 1) await get('/users', KEY).is(201, { 'idempotent-replayed': null })
    assert.equal(requests.length, 2)
  }),
  check('H18 several firsts at once are one request', {}, async ({ post, requests }) => {
    const [one, ...others] = await Promise.all([post(KEY).is(201), post(KEY).is(201), post(KEY).is(201)])
    for (const { text } of others) assert.equal(text, one?.text)
    assert.equal(requests.length, 1)
  }),
]
