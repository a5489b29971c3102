import assert from 'node:assert/strict'
import { until } from '../contract.js'
import { assertAnswer, type Expected, jsonOf } from './client.js'
import { type Given, type HttpCase, httpCase, SILENT, type World } from './world.js'

const PENDING: Given = { backEnd: SILENT }
const DOCUMENT_STYLE: Given = { backEnd: SILENT, options: { statusStyle: 'document' } }
const PROGRESS = { type: 'CreateUser::Requested::Progress', data: { percent: 50 } }
const REFUSED = { type: 'CreateUser::UserNotCreated', data: { reason: 'duplicate' } }

/** The URL of an operation that has ended with this result. */
async function ended({ defer, answer }: World, result: Parameters<World['answer']>[1] = { data: { id: 'ann' } }) {
  const url = await defer()
  await answer(url, result)
  return url
}

function problem(status: number, code: string): Expected {
  return { status, headers: { 'content-type': /^application\/problem\+json/, 'cache-control': 'no-store' }, body: { status, code } }
}

const RUNNING: Expected = {
  status: 202,
  headers: {
    ...{ 'retry-after': '1', etag: '"1"', 'cache-control': 'private, no-cache', vary: 'Prefer, Accept' },
    ...{ location: /^\/operations\//, 'content-location': /^\/operations\//, sunset: / GMT$/, date: / GMT$/ },
  },
  body: { status: 'running' },
}

/** Sections D and E of the contract: the operation as a resource. */
export const operationCases: readonly HttpCase[] = [
  httpCase(
    'D01 D12 D24 E01 E10 E20 C10 a running operation is 202 with its document',
    { ...PENDING, expected: RUNNING },
    async ({ defer, get }) => get(await defer()),
  ),
  httpCase('D02 D05 it is 200 for clients that ask so, or by the gateway', DOCUMENT_STYLE, async (world) => {
    const url = await world.defer()
    assertAnswer(await world.get(url), { status: 200, headers: { 'retry-after': '1', location: null }, body: { status: 'running' } })
    await world.answer(url, { data: { id: 'ann' } })
    const body = { status: 'succeeded', result: { id: 'ann' }, links: { result: `${url}/result` } }
    assertAnswer(await world.get(url), { status: 200, headers: { 'retry-after': null }, body })
  }),
  httpCase(
    'D03 D04 D25 D26 E14 an ended operation is 303 to its result, with a short note',
    { ...PENDING, expected: { status: 303, headers: { 'retry-after': null, 'cache-control': 'no-store', etag: null } } },
    async (world) => {
      const url = await ended(world)
      const answer = await world.get(url)
      const headers = { location: `${url}/result`, 'content-location': url }
      assertAnswer(answer, { headers, body: { status: 'succeeded', links: { result: `${url}/result` } } })
      return answer
    },
  ),
  httpCase('D03 the result is the very answer of the synchronous path', {}, async ({ post, get, requests }) => {
    const direct = await post()
    const replayed = await get(`/operations/${requests[0]?.correlationId}/result`)
    assert.deepEqual([replayed.status, replayed.text], [direct.status, direct.text])
    for (const name of ['location', 'content-type']) assert.equal(replayed.headers[name], direct.headers[name])
  }),
  httpCase('D05 D07 D08 ?follow=false shows how it ended, and the problem inside', PENDING, async (world) => {
    const url = await ended(world, REFUSED)
    const body = { status: 'failed', error: { status: 409, data: { reason: 'duplicate' } } }
    assertAnswer(await world.get(`${url}?follow=false`), { status: 200, headers: { 'content-type': /^application\/json/ }, body })
    assertAnswer(await world.get(`${url}/result`), { ...problem(409, REFUSED.type) })
  }),
  httpCase('D09 what is not there is 404', {}, async ({ get }) => {
    for (const path of ['', '/', '/x', '/x/y', '/x/result/z', '/..%2f..', '/__proto__', `/${'x'.repeat(2000)}`]) {
      assertAnswer(await get(`/operations${path}`), { status: 404, headers: { 'cache-control': 'no-store' } })
    }
    assertAnswer(await get('/operations/01ARZ3NDEKTSV4RRFFQ69G5FAV'), problem(404, 'ERR_OPERATION_NOT_FOUND'))
  }),
  httpCase(
    'D09 D11 E10 what is kept no longer is 410',
    { ...PENDING, options: { operationTtlMs: 60_000, retentionMs: 60_000 }, expected: problem(410, 'ERR_OPERATION_GONE') },
    async (world) => {
      const url = await ended(world)
      world.pass(61_000)
      return world.get(url)
    },
  ),
  httpCase('D13 FM-H26 every other method is 405, and overrides nothing', PENDING, async ({ send, defer, get }) => {
    const path = await defer()
    for (const method of ['POST', 'PUT', 'PATCH']) {
      const headers = { 'content-type': 'application/json', 'x-http-method-override': 'DELETE' }
      const answer = await send({ method, path, headers, body: '{}' })
      const allow = 'GET, HEAD, DELETE, OPTIONS'
      assertAnswer(answer, { ...problem(405, 'ERR_METHOD_NOT_ALLOWED'), headers: { allow } })
      assertAnswer(await send({ method, path: `${path}/result` }), { status: 405, headers: { allow: 'GET, HEAD, OPTIONS' } })
    }
    assertAnswer(await get(path, { 'x-http-method-override': 'DELETE' }), { status: 202 })
  }),
  httpCase('D14 OPTIONS is 204 and says what is allowed', PENDING, async ({ send, defer }) => {
    const path = await defer()
    const headers = { allow: 'GET, HEAD, DELETE, OPTIONS', 'content-length': null }
    assertAnswer(await send({ method: 'OPTIONS', path }), { status: 204, headers, body: '' })
  }),
  httpCase('D15 D16 HEAD answers as GET, without a body and without a wait', PENDING, async ({ send, defer, get, answer }) => {
    const path = await defer()
    const check = async () => {
      const [head, full] = [await send({ method: 'HEAD', path, headers: { prefer: 'wait=20' } }), await get(path)]
      assert.deepEqual([head.status, head.text], [full.status, ''])
      for (const name of ['etag', 'retry-after', 'location', 'cache-control', 'vary']) {
        assert.equal(head.headers[name], full.headers[name], name)
      }
      assert.ok([undefined, full.headers['content-length']].includes(head.headers['content-length']))
    }
    await check()
    await answer(path)
    await check()
  }),
  httpCase('D17 D18 L10 a type that is not offered is 406', PENDING, async ({ defer, get }) => {
    const url = await defer()
    for (const accept of ['text/html', 'application/json;q=0, application/problem+json;q=0']) {
      assertAnswer(await get(url, { accept }), problem(406, 'ERR_NOT_ACCEPTABLE'))
    }
    for (const accept of ['*/*', 'application/*', 'application/json;q=0.1', 'text/html, application/json']) {
      assertAnswer(await get(url, { accept }), { status: 202 })
    }
    assertAnswer(await get(`${url}/events`, { accept: 'application/json' }), { status: 406 })
  }),
  httpCase('D19 D20 D22 D23 DELETE cancels, and again; a result is then too late', PENDING, async (world) => {
    const path = await world.defer()
    const cancel = { method: 'DELETE', path }
    const first = await world.send(cancel)
    assertAnswer(first, { status: 200, body: { status: 'canceled', error: { code: 'ERR_OPERATION_CANCELED' } } })
    assert.equal((await world.send(cancel)).text, first.text)
    await world.answer(path, { data: { id: 'ann' } })
    await until(() => world.gateway.counters.late === 1)
    assertAnswer(await world.get(`${path}/result`), problem(409, 'ERR_OPERATION_CANCELED'))
  }),
  httpCase('D21 an ended operation is not canceled: 409', PENDING, async (world) => {
    const path = await ended(world)
    assertAnswer(await world.send({ method: 'DELETE', path }), problem(409, 'ERR_OPERATION_FINISHED'))
  }),
  httpCase('D27 the result of a running operation is 202', { ...PENDING, expected: RUNNING }, async ({ defer, get }) =>
    get(`${await defer()}/result`),
  ),
  httpCase('D23 E01 E02 the entity tag changes with every change that shows', PENDING, async ({ defer, get, answer }) => {
    const url = await defer()
    await answer(url, PROGRESS)
    assertAnswer(await get(url), { headers: { etag: '"2"' }, body: { progress: { percent: 50 } } })
    await answer(url)
    const { headers, text } = await get(`${url}?follow=false`)
    assert.equal(headers.etag, '"3"')
    await answer(url, REFUSED)
    assert.equal((await get(`${url}?follow=false`)).text, text)
  }),
  httpCase('E03 E04 E06 a matching entity tag is 304, whatever Cache-Control the request has', PENDING, async ({ defer, get }) => {
    const url = await defer()
    const headers = { etag: '"1"', 'retry-after': '1', 'cache-control': 'private, no-cache', 'content-type': null }
    for (const tag of ['"1"', '"0", W/"1"', '*']) {
      const answer = await get(url, { 'if-none-match': tag, 'cache-control': 'no-cache' })
      assertAnswer(answer, { status: 304, headers: { ...headers, vary: 'Prefer, Accept', 'content-location': url }, body: '' })
    }
    assertAnswer(await get(url, { 'if-none-match': '"2", w/"1"' }), { status: 202 })
  }),
  httpCase(
    'E05 an ended operation is 303 whatever entity tag is sent',
    { ...PENDING, expected: { status: 303 } },
    async (world) => world.get(await ended(world), { 'if-none-match': '*' }),
  ),
  httpCase('E07 a cancel may be bound to an entity tag: else 412', PENDING, async ({ defer, send, get }) => {
    const path = await defer()
    const answer = await send({ method: 'DELETE', path, headers: { 'if-match': '"7", W/"1"' } })
    assertAnswer(answer, problem(412, 'ERR_PRECONDITION_FAILED'))
    assertAnswer(await get(path), { status: 202 })
    assertAnswer(await send({ method: 'DELETE', path, headers: { 'if-match': '"1"' } }), { status: 200 })
  }),
  httpCase('E11 E13 E15 E19 every answer says how it is cached, and none is public', PENDING, async (world) => {
    const url = await ended(world)
    const answers = [await world.post({ prefer: 'respond-async' }), await world.post({ prefer: 'wait=0' })]
    for (const path of [url, `${url}/result`, `${url}?follow=false`, '/operations/x']) answers.push(await world.get(path))
    for (const { headers } of answers) {
      assert.match(String(headers['cache-control']), /^(no-store|private, no-cache)$/)
      assert.match(String(headers.vary), /^Prefer(, Accept)?$/)
    }
  }),
  httpCase('D07 F10 an operation that expired has the result of a time-out', PENDING, async ({ defer, get, pass }) => {
    const url = await defer()
    pass(3_600_001)
    const document = jsonOf(await get(`${url}?follow=false`))
    assert.equal(document['status'], 'expired')
    assertAnswer(await get(`${url}/result`), problem(504, 'ERR_RESULT_TIMEOUT'))
  }),
]
