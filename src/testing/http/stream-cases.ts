import assert from 'node:assert/strict'
import { until } from '../contract.js'
import { check, type Given, type HttpCase, PENDING } from './world.js'

const STREAM = { accept: 'text/event-stream' }
const SINGLE: Given = { ...PENDING, options: { maxStreams: 1 } }
const ONE_EACH: Given = { ...PENDING, options: { maxStreamsPerOperation: 1 } }
const PROGRESS = { type: 'CreateUser::Requested::Progress', data: { note: 'half\r\nevent: forged' } }

/** Sent with every stream, so that nothing on the way keeps it back. */
const HEADERS = {
  ...{ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  ...{ vary: 'Prefer, Accept', 'content-length': null },
}

/** The messages of a stream: event, id and status. */
function messagesOf(text: string): string[] {
  const messages = text.matchAll(/^event: (.*)\nid: (.*)\ndata: (.*)$/gm)
  return [...messages].map(([, event, id, data]) => `${event} ${id} ${JSON.parse(data ?? '').status}`)
}

/** Section L of the contract: an operation as a stream of events. */
export const streamCases: readonly HttpCase[] = [
  check('L01 L02 L03 L04 L05 L09 FM-H24 every change is a message', PENDING, async ({ defer, get, answer }) => {
    const url = await defer()
    const stream = get(url, STREAM)
    await until(() => messagesOf(stream.received).length === 1)
    await answer(url, PROGRESS)
    await until(() => messagesOf(stream.received).length === 2)
    await answer(url)
    const { text } = await stream.is(200, HEADERS)
    assert.match(text, /^retry: \d+\n\n/)
    assert.deepEqual(messagesOf(text), ['status 1 running', 'status 2 running', 'status 3 succeeded'])
    assert.doesNotMatch(text, /^event: forged/m)
  }),
  check('L06 L10 who comes back hears what came since', PENDING, async ({ defer, get, answer }) => {
    const url = await defer()
    await answer(url, PROGRESS)
    const stream = get(`${url}/events`, { 'last-event-id': '1' })
    const informed = get(`${url}/events`, { 'last-event-id': '2' })
    await until(() => messagesOf(stream.received).length === 1 && informed.received !== '')
    await answer(url)
    assert.deepEqual(messagesOf((await stream.answer).text), ['status 2 running', 'status 3 succeeded'])
    assert.deepEqual(messagesOf((await informed.answer).text), ['status 3 succeeded'])
  }),
  check('L07 who has heard the end is told to stay away', PENDING, async ({ defer, answer, get }) => {
    const url = await defer()
    await answer(url)
    assert.deepEqual(messagesOf((await get(url, STREAM).is(200)).text), ['status 2 succeeded'])
    await get(url, { ...STREAM, 'last-event-id': '2' }).is(204, {}, '')
  }),
  check('L12 FM-E18 FM-H20 a stream ends when its client leaves', SINGLE, async (world) => {
    const { defer, get, gateway, errors } = world
    const url = await defer()
    for (let times = 0; times < 3; times += 1) {
      const stream = get(url, STREAM)
      await until(() => stream.received.includes('running') && gateway.counters.pending === 1)
      await get(url, STREAM).refuses(503, 'ERR_OVERLOADED', { 'retry-after': /^\d$/ })
      stream.abort()
      await until(() => gateway.counters.pending === 0)
    }
    assert.deepEqual(errors, [])
  }),
  check('L12 FM-H20 one operation cannot take all streams', ONE_EACH, async ({ defer, get, answer }) => {
    const [busy, other] = [await defer(), await defer()]
    const stream = get(busy, STREAM)
    await until(() => stream.received.includes('running'))
    await get(busy, STREAM).refuses(429, 'ERR_TOO_MANY_REQUESTS', { 'retry-after': '1' })
    const elsewhere = get(other, STREAM)
    await until(() => elsewhere.received.includes('running'))
    for (const url of [busy, other]) await answer(url)
    await stream.is(200)
    await get(busy, STREAM).is(200)
  }),
  check('L05 FM-E10 a stream ends when the gateway closes', PENDING, async ({ defer, get, gateway }) => {
    const stream = get(await defer(), STREAM)
    await until(() => gateway.counters.pending === 1)
    await gateway.close({ drainMs: 1000 })
    await stream.is(200, HEADERS)
  }),
]
