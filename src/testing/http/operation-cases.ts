import assert from 'node:assert/strict'
import { until } from '../contract.js'
import type { Answer } from './client.js'
import { check, type Given, type HttpCase, NOT_CREATED, PENDING } from './world.js'

const POLLED: Given = {
  ...PENDING,
  options: { maxReadsPerSecond: 2, principal: ({ headers }) => headers['x-principal'] as string | undefined },
}
const DOCUMENTS: Given = { ...PENDING, options: { statusStyle: 'document' } }
const EXPIRING: Given = { ...PENDING, options: { operationTtlMs: 60_000, retentionMs: 60_000 } }
const KEPT: Given = { ...PENDING, options: { operationTtlMs: 60_000, retentionMs: 600_000 } }
const DAY_MS = 86_400_000
const PROGRESS = { type: 'CreateUser::Requested::Progress', data: { percent: 50 } }
const REFUSED = { type: NOT_CREATED, data: { reason: 'duplicate' } }
const METHODS = 'GET, HEAD, DELETE, OPTIONS'

const STATE = {
  ...{ 'retry-after': '1', etag: '"1"', 'cache-control': 'private, no-cache', vary: 'Prefer, Accept' },
  ...{ 'content-location': /^\/operations\/.{26}$/, sunset: / GMT$/, date: / GMT$/ },
}

/** When the operation will be gone, as its document and its headers agree. */
function endOf({ headers, json }: Answer): number {
  const expiresAt = Date.parse(String(json['expiresAt']))
  // A date of HTTP has no fractions of a second.
  assert.equal(Date.parse(String(headers['sunset'])), expiresAt - (expiresAt % 1000))
  return expiresAt
}

const timeOf = ({ json }: Answer, member: string) => Date.parse(String(json[member]))

/** Sections D and E of the contract: the operation as a resource. */
export const operationCases: readonly HttpCase[] = [
  check('D01 D24 D27 E01 E10 E20 while running it is 202, and its result too', PENDING, async ({ defer, get }) => {
    const url = await defer()
    for (const path of [url, `${url}/result`])
      await get(path).is(202, { ...STATE, location: url }, { status: 'running' })
  }),
  check('D02 D05 it is 200 for a gateway whose style is documents', DOCUMENTS, async ({ defer, get, answer }) => {
    const url = await defer()
    await get(url).is(200, { ...STATE, location: null }, { status: 'running' })
    await answer(url)
    await get(url).is(200, { 'retry-after': null, etag: '"2"' }, { status: 'succeeded', result: { id: 'ann' } })
  }),
  check('D05 D07 D08 ?follow=false shows how it ended, the problem inside', PENDING, async ({ defer, get, answer }) => {
    const url = await defer()
    await answer(url, REFUSED)
    const body = { status: 'failed', error: { status: 409, data: REFUSED.data } }
    await get(`${url}?follow=false`).is(200, { 'content-type': /^application\/json/ }, body)
    await get(`${url}/result`).refuses(409, NOT_CREATED)
  }),
  check('D03 D04 D25 D26 E05 E14 an ended operation is 303 to its result', PENDING, async ({ defer, get, answer }) => {
    const url = await defer()
    await answer(url)
    const headers = {
      location: `${url}/result`,
      'content-location': url,
      'retry-after': null,
      'cache-control': 'no-store',
    }
    const note = { status: 'succeeded', links: { result: `${url}/result` } }
    await get(url).is(303, headers, note)
    await get(url, { 'if-none-match': '*' }).is(303, headers, note)
  }),
  check('D03 the result is the very answer of the synchronous path', {}, async ({ post, get, requests }) => {
    const { status, headers, text } = await post().answer
    const again = { location: headers.location, 'content-type': headers['content-type'] }
    await get(`/operations/${requests[0]?.correlationId}/result`).is(status, again, text)
  }),
  check('D09 what is not there is 404', {}, async ({ get }) => {
    await get('/operations/01ARZ3NDEKTSV4RRFFQ69G5FAV').refuses(404, 'ERR_OPERATION_NOT_FOUND')
    for (const path of ['', '/', '/x/y', '/x/result/z', '/..%2f..', '/__proto__', `/${'x'.repeat(2000)}`]) {
      await get(`/operations${path}`).is(404, { 'content-type': /problem/, 'cache-control': 'no-store' })
    }
  }),
  check('D09 E10 what is kept no longer is 410', EXPIRING, async ({ defer, get, answer, pass }) => {
    const url = await defer()
    await answer(url)
    pass(60_001)
    await get(url).refuses(410, 'ERR_OPERATION_GONE')
  }),
  check('D11 an ended operation is kept for 24 hours', PENDING, async ({ defer, get, answer, pass }) => {
    const url = await defer()
    await answer(url)
    const ended = await get(`${url}?follow=false`).is(200)
    assert.equal(timeOf(ended, 'expiresAt'), timeOf(ended, 'updatedAt') + DAY_MS)
    pass(DAY_MS - 60_000)
    await get(`${url}/result`).is(201)
    pass(60_000)
    await get(`${url}/result`).refuses(410, 'ERR_OPERATION_GONE')
  }),
  check('D12 Sunset is expiresAt, when the operation vanishes', KEPT, async ({ defer, get, answer, pass }) => {
    const url = await defer()
    const running = await get(url).is(202)
    assert.equal(endOf(running), timeOf(running, 'createdAt') + 60_000)
    await answer(url)
    const ended = await get(`${url}?follow=false`).is(200)
    assert.equal(endOf(ended), timeOf(ended, 'updatedAt') + 600_000)
    pass(endOf(ended) - timeOf(ended, 'updatedAt') - 30_000)
    await get(`${url}?follow=false`).is(200, { sunset: String(ended.headers['sunset']) })
    pass(30_000)
    await get(url).is(410)
  }),
  check('D07 F10 an operation that expired has the result of a time-out', EXPIRING, async ({ defer, get, pass }) => {
    const url = await defer()
    pass(60_001)
    await get(`${url}?follow=false`).is(200, {}, { status: 'expired', error: { status: 504 } })
    await get(`${url}/result`).refuses(504, 'ERR_RESULT_TIMEOUT')
  }),
  check('D13 FM-H26 every other method is 405, and overrides nothing', PENDING, async ({ send, defer, get }) => {
    const path = await defer()
    const override = { 'x-http-method-override': 'DELETE' }
    for (const method of ['POST', 'PUT', 'PATCH']) {
      const refused = send({ method, path, headers: override, body: {} })
      await refused.refuses(405, 'ERR_METHOD_NOT_ALLOWED', { allow: METHODS })
      await send({ method, path: `${path}/result` }).is(405, { allow: 'GET, HEAD, OPTIONS' })
    }
    await get(path, override).is(202)
  }),
  check('D14 OPTIONS is 204 and says what is allowed', PENDING, async ({ send, defer }) => {
    await send({ method: 'OPTIONS', path: await defer() }).is(204, { allow: METHODS, 'content-length': null }, '')
  }),
  check('D15 D16 HEAD answers as GET, with no body and no wait', PENDING, async ({ send, defer, get, answer }) => {
    const path = await defer()
    const compare = async () => {
      const { status, headers } = await get(path).answer
      const { etag, location, vary, 'retry-after': retry, 'cache-control': caching } = headers
      const same = { etag: etag ?? null, location, vary, 'retry-after': retry ?? null, 'cache-control': caching }
      const head = await send({ method: 'HEAD', path, headers: { prefer: 'wait=20' } }).is(status, same, '')
      assert.ok([undefined, headers['content-length']].includes(head.headers['content-length']))
    }
    await compare()
    await answer(path)
    await compare()
  }),
  check('D17 D18 L10 a type that is not offered is 406', PENDING, async ({ defer, get }) => {
    const url = await defer()
    for (const accept of ['text/html', 'application/json;q=0, application/problem+json;q=0']) {
      await get(url, { accept }).refuses(406, 'ERR_NOT_ACCEPTABLE')
    }
    for (const accept of ['*/*', 'application/*', 'text/html, application/json;q=0.1'])
      await get(url, { accept }).is(202)
    await get(`${url}/events`, { accept: 'application/json' }).refuses(406, 'ERR_NOT_ACCEPTABLE')
  }),
  check('D19 D20 D22 D23 DELETE cancels, and again; a result is then too late', PENDING, async (world) => {
    const path = await world.defer()
    const canceled = { status: 'canceled', error: { code: 'ERR_OPERATION_CANCELED' } }
    const { text } = await world.send({ method: 'DELETE', path }).is(200, {}, canceled)
    await world.send({ method: 'DELETE', path }).is(200, {}, text)
    await world.answer(path)
    await until(() => world.gateway.counters.late === 1)
    await world.get(`${path}/result`).refuses(409, 'ERR_OPERATION_CANCELED')
  }),
  check('D21 an ended operation is not canceled: 409', PENDING, async ({ defer, answer, send }) => {
    const path = await defer()
    await answer(path)
    await send({ method: 'DELETE', path }).refuses(409, 'ERR_OPERATION_FINISHED')
  }),
  check('D23 E01 E02 the entity tag changes with every change that shows', PENDING, async ({ defer, get, answer }) => {
    const url = await defer()
    await answer(url, PROGRESS)
    await get(url).is(202, { etag: '"2"' }, { progress: PROGRESS.data })
    await answer(url)
    const { text } = await get(`${url}?follow=false`).is(200, { etag: '"3"' })
    await answer(url, REFUSED)
    await get(`${url}?follow=false`).is(200, { etag: '"3"' }, text)
  }),
  check('E03 E04 E06 a matching entity tag is 304, whatever is cached', PENDING, async ({ defer, get }) => {
    const url = await defer()
    for (const tag of ['"1"', '"0", W/"1"', '*']) {
      await get(url, { 'if-none-match': tag, 'cache-control': 'no-cache' }).is(
        304,
        { ...STATE, 'content-type': null },
        '',
      )
    }
    await get(url, { 'if-none-match': '"2", w/"1"' }).is(202)
  }),
  check('E07 a cancel may be bound to an entity tag: else 412', PENDING, async ({ defer, send, get }) => {
    const path = await defer()
    const cancel = (tag: string) => send({ method: 'DELETE', path, headers: { 'if-match': tag } })
    await cancel('"7", W/"1"').refuses(412, 'ERR_PRECONDITION_FAILED')
    await get(path).is(202)
    await cancel('"1"').is(200)
  }),
  check('D28 E19 FM-E9 who polls too fast is told to wait', POLLED, async ({ defer, get }) => {
    const [url, other] = [await defer(), await defer()]
    for (let times = 0; times < 2; times += 1) await get(url).is(202)
    await get(url).refuses(429, 'ERR_TOO_MANY_REQUESTS', { 'retry-after': '1', 'cache-control': 'no-store' })
    await get(other).is(202)
    // One principal does not use up what another one may read.
    await get(url, { 'x-principal': 'ann' }).refuses(404, 'ERR_OPERATION_NOT_FOUND')
  }),
  check('E11 E13 E15 E19 every answer says how it is cached', PENDING, async ({ defer, answer, get, post }) => {
    const url = await defer()
    await answer(url)
    const exchanges = [url, `${url}/result`, `${url}?follow=false`, '/operations/x'].map((path) => get(path))
    for (const exchange of [...exchanges, post({ prefer: 'respond-async', authorization: 'Bearer a' })]) {
      const { headers } = await exchange.answer
      assert.match(String(headers['cache-control']), /^(no-store|private, no-cache)$/)
      assert.match(String(headers.vary), /^Prefer(, Accept)?$/)
    }
  }),
]
