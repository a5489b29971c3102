import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { FollowError, type FollowOptions, follow } from '../../../src/client/index.js'
import {
  accepted,
  created,
  type Fetch,
  finish,
  hang,
  json,
  OPERATION,
  ORIGIN,
  offline,
  pick,
  post,
  problem,
  redirect,
  type Step,
  useVirtualTime,
} from './scripted-fetch.js'

useVirtualTime()

describe('pauses', () => {
  it('waits as Retry-After says, before the first poll too', async () => {
    const { at } = await post([accepted({ 'retry-after': '3' }), accepted({ 'retry-after': '5' }), created()])
    expect(at).toEqual([0, 3000, 8000])
  })

  it('waits until the date that Retry-After names', async () => {
    const date = new Date(60_000).toUTCString()
    expect((await post([accepted({ 'retry-after': date }), created()])).at).toEqual([0, 60_000])
  })

  it('waits 1 s growing to 10 s where nothing is asked', async () => {
    const silent = Array.from({ length: 8 }, () => accepted({ 'retry-after': 'x' }))
    const { at } = await pick([...silent, created()])
    const pauses = at.slice(1).map((time, index) => Math.floor(time - (at[index] ?? 0)))
    expect(pauses).toEqual([1000, 1500, 2250, 3375, 5062, 7593, 10_000, 10_000])
  })

  it('is never shorter than asked, never a flood, and up to a tenth longer', async () => {
    vi.mocked(Math.random).mockReturnValue(0.5)
    const { at } = await post([accepted({ 'retry-after': '2' }), accepted({ 'retry-after': '0' }), created()])
    expect(at).toEqual([0, 2100, 2121])
  })
})

describe('options that are wrong', () => {
  it.each<[string, object, string]>([
    ['seconds in fractions', { waitSeconds: 1.5 }, 'waitSeconds: expected a whole number from 0 on, got 1.5'],
    ['seconds below 0', { waitSeconds: -1 }, 'waitSeconds: expected a whole number from 0 on, got -1'],
    ['a poll in fractions', { longPollSeconds: 1.5 }, 'longPollSeconds: expected a whole number from 0 on, got 1.5'],
    ['a number as text', { retries: '2' }, 'retries: expected a whole number from 0 on, got "2"'],
    ['NaN retries', { retries: Number.NaN }, 'retries: expected a whole number from 0 on, got NaN'],
    ['retries below 0', { retries: -1 }, 'retries: expected a whole number from 0 on, got -1'],
    ['a deadline NaN', { deadlineMs: Number.NaN }, 'deadlineMs: expected a number from 0 on, or Infinity, got NaN'],
    [
      'origins as a text',
      { allowOrigins: 'https://a.example' as never },
      'allowOrigins: expected a list of origins, got "https://a.example"',
    ],
    ['a deadline below 0', { deadlineMs: -1 }, 'deadlineMs: expected a number from 0 on, or Infinity, got -1'],
    ['a deadline as text', { deadlineMs: '5' }, 'deadlineMs: expected a number from 0 on, or Infinity, got "5"'],
    ['a misspelt preference', { prefer: 'respond_async' }, 'prefer: expected "respond-async", got "respond_async"'],
    [
      'an empty key',
      { idempotencyKey: '' },
      'idempotencyKey: expected 1 to 255 printable ASCII characters, or true, got ""',
    ],
    [
      'a key that is false',
      { idempotencyKey: false },
      'idempotencyKey: expected 1 to 255 printable ASCII characters, or true, got false',
    ],
  ])('rejects before anything is sent: %s', async (_, options, message) => {
    const { error, calls } = await post([created()], options)
    expect(error).toMatchObject({ name: 'FollowError', code: 'ERR_CONFIG', message })
    expect(calls).toEqual([])
  })

  it('are refused by resume too', async () => {
    const { error, calls } = await pick([created()], { longPollSeconds: 1.5 })
    expect([error, calls]).toMatchObject([{ code: 'ERR_CONFIG' }, []])
  })
})

describe('repeating the first request', () => {
  const busy = (outcome?: string) => problem(503, outcome ? { outcome } : {}, { 'retry-after': '2' })
  const limited = () => problem(429, {}, { 'retry-after': '2' })

  it.each<[string, () => Step, FollowOptions]>([
    ['429', limited, {}],
    ['503 not-accepted', () => busy('not-accepted'), {}],
    ['503 unknown with a key', () => busy('unknown'), { idempotencyKey: true }],
    ['503 unknown with a key among the headers', () => busy('unknown'), { headers: { 'idempotency-key': 'k' } }],
    ['503 unknown to GET', () => busy('unknown'), { method: 'GET', body: null }],
    ['503 without an outcome, with a key', () => busy(), { idempotencyKey: true }],
    ['a network error with a key', offline, { idempotencyKey: true }],
    ['a network error to get', offline, { method: 'get', body: null }],
  ])('comes after %s', async (_, refusal, options) => {
    const { calls, response } = await post([refusal(), created()], options)
    expect(calls).toHaveLength(2)
    expect(response?.status).toBe(201)
  })

  it.each<[string, () => Step, FollowOptions]>([
    ['503 unknown without a key', () => busy('unknown'), {}],
    ['503 without an outcome or a key', () => busy(), {}],
    ['503 failed, even with a key', () => busy('failed'), { idempotencyKey: true }],
    ['429 failed', () => problem(429, { outcome: 'failed' }), {}],
    ['500, even with a key', () => problem(500), { idempotencyKey: true }],
    ['a network error without a key', offline, {}],
    ['a network error to PUT without a key', offline, { method: 'PUT' }],
  ])('does not come after %s', async (_, refusal, options) => {
    const { calls, response, error } = await post([refusal(), created()], options)
    expect(calls).toHaveLength(1)
    expect(response ?? error).toBeDefined()
    expect(response?.status).not.toBe(201)
  })

  it('keeps the key and waits as Retry-After says', async () => {
    const { calls, at } = await post([busy('unknown'), offline(), created()], { idempotencyKey: true })
    expect(new Set(calls.map(({ headers }) => headers.get('idempotency-key'))).size).toBe(1)
    expect(at).toEqual([0, 2000, 3500])
  })

  it('ends with the last answer or the error of fetch itself', async () => {
    const last = limited()
    expect((await post([limited(), limited(), last])).response).toBe(last)
    expect((await post([limited()], { retries: 0 })).response?.status).toBe(429)
    const error = offline()
    expect((await post([error], { idempotencyKey: true, retries: 0 })).error).toBe(error)
  })

  it('sends a stream once', async () => {
    const body = new ReadableStream() as NonNullable<RequestInit['body']>
    const { calls, response } = await post([limited()], { body, idempotencyKey: true })
    expect(calls).toHaveLength(1)
    expect(response?.status).toBe(429)
  })
})

describe('polls that fail', () => {
  it.each<[string, Step]>([
    ['a network error', offline()],
    ['429', problem(429, {}, { 'retry-after': '1' })],
    ['500', problem(500)],
    ['502 of a proxy', new Response('<html>', { status: 502 })],
    ['503', problem(503, { outcome: 'not-accepted' })],
  ])('asks again after %s', async (_, failure) => {
    expect((await pick([failure, created()])).response?.status).toBe(201)
  })

  it.each<[string, Step]>([
    ['a network error', offline()],
    ['a refusal', problem(503, { outcome: 'not-accepted' }, { 'retry-after': '1' })],
    ['too many requests', problem(429, {}, { 'retry-after': '1' })],
    ['504 of a proxy', new Response('<html>', { status: 504 })],
  ])('asks for the result again after %s', async (_, failure) => {
    const { response, calls } = await pick([redirect('/operations/01J/result'), failure, created()])
    expect(response?.status).toBe(201)
    expect(calls[2]?.url).toBe(`${OPERATION}/result`)
  })

  it.each<[string, Response]>([
    ['429 of the command', problem(429)],
    ['500 without a problem', json(500, { code: 7 })],
    ['504 of an expired operation', problem(504)],
  ])('takes a result for what it is: %s', async (_, result) => {
    expect((await pick([redirect('/operations/01J/result'), result])).response).toBe(result)
  })

  it('takes a declared failure for final wherever it is found', async () => {
    const failed = problem(503, { outcome: 'failed' }, { 'retry-after': '1' })
    expect((await pick([failed])).response).toBe(failed)
  })

  it('goes on with the polls when a 202 breaks off or carries no document', async () => {
    const broken = new Response('{"id":', { status: 202, headers: { 'content-type': 'application/json' } })
    const { response } = await pick([broken, new Response(null, { status: 202 }), created()])
    expect(response?.status).toBe(201)
  })
})

describe('deadline', () => {
  const running: Step = () => accepted({ 'retry-after': '4' })

  it('rejects with the location, from which the operation can be resumed', async () => {
    const { error } = await post(Array(9).fill(running), { deadlineMs: 10_000 })
    expect(error).toBeInstanceOf(FollowError)
    expect(error).toMatchObject({ code: 'ERR_DEADLINE', location: OPERATION })
    expect(Date.now()).toBeGreaterThanOrEqual(10_000)
    expect((await pick([created()])).response?.status).toBe(201)
  })

  it('knows the location during the pause before the first poll', async () => {
    const { error } = await post([running], { deadlineMs: 1000 })
    expect(error).toMatchObject({ code: 'ERR_DEADLINE', location: OPERATION })
  })

  it('bounds polls of a server that is gone', async () => {
    const { error, at } = await pick(Array(999).fill(offline()))
    expect(error).toMatchObject({ code: 'ERR_DEADLINE', location: OPERATION })
    expect(at.at(-1)).toBeLessThan(3_600_000)
  })

  it('ends a request that hangs, and has no location before there is one', async () => {
    const { error } = await post([hang], { deadlineMs: 50 })
    expect(error).toMatchObject({ code: 'ERR_DEADLINE', location: undefined })
  })

  it.each([Infinity, 2 ** 40])('can be %d ms away', async (deadlineMs) => {
    const slow: Step = () => accepted({ 'retry-after': '7200' })
    const { response, at } = await post([slow, slow, created()], { deadlineMs })
    expect(response?.status).toBe(201)
    expect(at).toEqual([0, 7_200_000, 14_400_000])
  })

  it('does not reach the body of the final answer', async () => {
    const { first } = await post([created()], { deadlineMs: 50 })
    await vi.advanceTimersByTimeAsync(100)
    expect(first?.init.signal?.aborted).toBe(false)
  })
})

describe('signal', () => {
  const abortIn = (ms: number, steps: Step[], given: FollowOptions = {}) => {
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => controller.abort(reason), ms)
    const startedAt = Date.now()
    let after = -1
    const outcome = finish((fetch) => {
      const call = follow(`${ORIGIN}/users`, { ...given, fetch, signal: controller.signal })
      const note = () => {
        after = Date.now() - startedAt
      }
      call.then(note, note)
      return call
    }, steps)
    return outcome.then((result) => ({ ...result, after, reason }))
  }

  it.each<[string, Step[]]>([
    ['the first request', [hang]],
    ['a pause', [accepted({ 'retry-after': '60' })]],
    ['a poll', [accepted(), hang]],
    ['the pause before a repeated request', [problem(429, {}, { 'retry-after': '60' })]],
  ])('rejects at once with its reason during %s', async (_, steps) => {
    const { error, reason, after, calls } = await abortIn(500, steps)
    expect(error).toBe(reason)
    expect(after).toBe(500)
    expect(calls).toHaveLength(steps.length)
  })

  it('rejects with its reason when it was aborted before', async () => {
    const fetch: Fetch = async (_, { signal }) => {
      signal?.throwIfAborted()
      return created()
    }
    await expect(follow(`${ORIGIN}/users`, { fetch, signal: AbortSignal.abort('early') })).rejects.toBe('early')
  })

  it('is listened to once, however many pauses there were', async () => {
    let listeners = Number.NaN
    const last: Step = ({ signal }) => {
      listeners = getEventListeners(signal as AbortSignal, 'abort').length
      return created()
    }
    await pick([accepted(), accepted(), accepted(), last], { signal: new AbortController().signal })
    expect(listeners).toBe(0)
  })

  it('still governs the body of the final answer', async () => {
    const controller = new AbortController()
    const { first } = await post([created()], { signal: controller.signal })
    controller.abort()
    expect(first?.init.signal?.aborted).toBe(true)
  })

  it('stops when it was aborted while a callback was waited for', async () => {
    const controller = new AbortController()
    const onAccepted = () => controller.abort('gone')
    const { error } = await post([accepted()], { onAccepted, signal: controller.signal })
    expect(error).toBe('gone')
  })
})
