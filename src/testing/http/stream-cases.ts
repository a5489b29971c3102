import assert from 'node:assert/strict'
import { until } from '../contract.js'
import { assertAnswer } from './client.js'
import { type Given, type HttpCase, httpCase, SILENT } from './world.js'

const PENDING: Given = { backEnd: SILENT }
const STREAM = { accept: 'text/event-stream' }
const PROGRESS = { type: 'CreateUser::Requested::Progress', data: { note: 'half\r\nevent: forged' } }

/** The messages of a stream: their fields, and their data parsed. */
function messagesOf(text: string) {
  const messages = text.split('\n\n').filter((message) => message.startsWith('event: '))
  return messages.map((message) => {
    const fields = Object.fromEntries(message.split('\n').map((line) => line.split(/: (.*)/s, 2)))
    return { event: fields['event'], id: fields['id'], data: JSON.parse(fields['data'] ?? '') as Readonly<Record<string, unknown>> }
  })
}

/** Section L of the contract: an operation as a stream of events. */
export const streamCases: readonly HttpCase[] = [
  httpCase('L01 L02 L04 L05 L09 L10 every change is a message, and the end is the last', PENDING, async ({ client, defer, answer }) => {
    const path = await defer()
    const stream = client.start({ path, headers: STREAM })
    await until(() => messagesOf(stream.received()).length === 1)
    assert.match(stream.received(), /^retry: \d+\n\n/)
    await answer(path, PROGRESS)
    await until(() => messagesOf(stream.received()).length === 2)
    await answer(path, { data: { id: 'ann' } })
    const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    const end = await stream.answer
    assertAnswer(end, { status: 200, headers: { ...headers, vary: 'Prefer, Accept', 'content-length': null } })
    const messages = messagesOf(end.text)
    assert.deepEqual(messages.map(({ event, id, data }) => [event, id, data['status']]), [
      ['status', '1', 'running'],
      ['status', '2', 'running'],
      ['status', '3', 'succeeded'],
    ])
    assert.deepEqual(messages[1]?.data['progress'], PROGRESS.data)
  }),
  httpCase('L03 FM-H24 data cannot forge a field', PENDING, async ({ client, defer, answer }) => {
    const path = await defer()
    const stream = client.start({ path: `${path}/events` })
    await until(() => messagesOf(stream.received()).length === 1)
    await answer(path, PROGRESS)
    await answer(path)
    assert.doesNotMatch((await stream.answer).text, /^event: forged/m)
  }),
  httpCase('L06 who comes back hears what came since', PENDING, async ({ client, defer, answer }) => {
    const path = await defer()
    await answer(path, PROGRESS)
    const stream = client.start({ path, headers: { ...STREAM, 'last-event-id': '1' } })
    await until(() => messagesOf(stream.received()).length === 1)
    const informed = client.start({ path, headers: { ...STREAM, 'last-event-id': '2' } })
    await until(() => informed.received() !== '')
    await answer(path)
    const ids = [stream, informed].map(async ({ answer: ended }) => messagesOf((await ended).text).map(({ id }) => id))
    assert.deepEqual(await Promise.all(ids), [['2', '3'], ['3']])
  }),
  httpCase('L07 who has heard the end is told to stay away', { ...PENDING, expected: { status: 204 } }, async ({ defer, answer, get }) => {
    const path = await defer()
    await answer(path)
    assertAnswer(await get(path, STREAM), { status: 200 })
    return get(path, { ...STREAM, 'last-event-id': '2' })
  }),
  httpCase('L12 FM-H20 one stream too many is 503', { ...PENDING, options: { maxStreams: 1 } }, async ({ client, defer, get }) => {
    const path = await defer()
    const stream = client.start({ path, headers: STREAM })
    await until(() => stream.received() !== '')
    assertAnswer(await get(path, STREAM), { status: 503, headers: { 'retry-after': /^\d$/ } })
    stream.abort()
  }),
  httpCase('FM-E18 a stream whose client left is over, and makes room', { ...PENDING, options: { maxStreams: 1 } }, async (world) => {
    const { client, defer, gateway, errors } = world
    const path = await defer()
    for (let times = 0; times < 3; times += 1) {
      const stream = client.start({ path, headers: STREAM })
      await until(() => stream.received().includes('status'))
      await until(() => gateway.counters.pending === 1)
      stream.abort()
      await until(() => gateway.counters.pending === 0)
    }
    assert.equal(errors.length, 0)
  }),
  httpCase('L05 FM-E10 a stream ends when the gateway closes', PENDING, async ({ client, defer, gateway }) => {
    const path = await defer()
    const stream = client.start({ path, headers: STREAM })
    await until(() => gateway.counters.pending === 1)
    await gateway.close({ drainMs: 1000 })
    assertAnswer(await stream.answer, { status: 200 })
  }),
]
