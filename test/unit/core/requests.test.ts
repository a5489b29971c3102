import { getEventListeners, setMaxListeners } from 'node:events'
import { memoryStore } from 'respond-async'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { GatewayError } from '../../../src/core/errors.js'
import type { OnGone } from '../../../src/core/pending-request.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { directTransport, gate, openWorld, quietStore, resultOf, watch } from './support.js'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'

describe('request', () => {
  it('resolves to the result event and the operation that it ended', async () => {
    const { ask, gateway, requests, noted } = await openWorld({ worker: (request, world) => world.answer(request) })
    const reply = await ask.request(
      { n: 7 },
      { headers: { h: 'v' }, tenant: 't', traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`, tracestate: 's=1' },
    )
    expect(reply).toMatchObject({ kind: 'completed', event: { type: 'Done', data: { n: 1 } } })
    expect(reply.operation).toMatchObject({ state: 'succeeded', command: 'Ask', published: true, version: 2 })
    const { id } = reply.operation
    const [request] = requests
    expect(request).toMatchObject({
      id,
      correlationId: id,
      type: 'Ask',
      source: 'gateway',
      tenant: 't',
      traceparent: expect.stringMatching(new RegExp(`^00-${TRACE_ID}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`)),
    })
    expect(request).toMatchObject({ tracestate: 's=1', headers: { h: 'v' }, key: undefined, replyTo: undefined })
    expect(JSON.parse(Buffer.from(request?.body ?? []).toString())).toEqual({ n: 7 })
    expect(gateway.counters).toMatchObject({ created: 1, completed: 1, deferred: 0, pending: 0, open: 0, error: 0 })
    expect(noted.slice(0, 3)).toEqual(['started', 'created', 'completed'])
  })

  it('resolves to a negative result alike', async () => {
    const { ask } = await openWorld({ worker: (request, world) => world.answer(request, 'NotDone') })
    const reply = await ask.request({ n: 1 })
    expect(reply).toMatchObject({
      kind: 'completed',
      event: { data: { reason: 'no' } },
      operation: { state: 'failed' },
    })
  })

  it('knows the failure of the worker helper without a declaration', async () => {
    const { ask } = await openWorld({ worker: (request, world) => world.answer(request, 'Ask::Failed') })
    expect(await ask.request({ n: 1 })).toMatchObject({ kind: 'completed', operation: { state: 'failed' } })
  })

  it('FM-F1 resolves to the running operation when no result comes in time', async () => {
    const { ask, clock, gateway, requests, answer } = await openWorld({ options: { waitMs: 2000 } })
    const reply = watch(ask.request({ n: 1 }))
    await clock.advance(1990)
    expect(reply.isSettled).toBe(false)
    await clock.advance(30)
    expect(await reply.promise).toMatchObject({ kind: 'accepted', because: 'timeout', operation: { state: 'running' } })
    expect(gateway.counters).toMatchObject({ deferred: 1, pending: 0, open: 1 })
    await answer(requests[0])
    expect(gateway.counters).toMatchObject({ open: 0, late: 0, completed: 1 })
  })

  it('waits as long as the request says, else the command, else the gateway', async () => {
    const { ask, clock } = await openWorld({ options: { waitMs: 2000 }, command: { waitMs: 1000 } })
    const asked = watch(ask.request({ n: 1 }, { waitMs: 500.5 }))
    const byCommand = watch(ask.request({ n: 2 }))
    await clock.advance(520)
    expect([asked.isSettled, byCommand.isSettled]).toEqual([true, false])
    await clock.advance(500)
    expect(byCommand.isSettled).toBe(true)
  })

  it('B10 the wait runs from the time at which the request came', async () => {
    const { ask, clock } = await openWorld()
    await clock.advance(5000)
    const reply = watch(ask.request({ n: 1 }, { waitMs: 1000, startedAt: clock.monotonic() - 900 }))
    await clock.advance(80)
    expect(reply.isSettled).toBe(false)
    await clock.advance(40)
    expect(reply.isSettled).toBe(true)
  })

  it('PEER-T24 FM-A18 a wall clock that jumps changes no wait', async () => {
    const { ask, clock } = await openWorld()
    const reply = watch(ask.request({ n: 1 }, { waitMs: 1000 }))
    clock.shift(-3_600_000)
    await clock.advance(980)
    expect(reply.isSettled).toBe(false)
    clock.shift(7_200_000)
    await clock.advance(50)
    expect(reply.isSettled).toBe(true)
  })

  it('waitMs 0 waits for nothing but the confirmation', async () => {
    const confirmation = gate()
    const transport = directTransport()
    transport.onPublish = () => confirmation.opened
    const { ask, clock } = await openWorld({ transport })
    const reply = watch(ask.request({ n: 1 }, { waitMs: 0 }))
    await clock.advance(500)
    expect(reply.isSettled).toBe(false)
    confirmation.open()
    await clock.flush()
    expect(await reply.promise).toMatchObject({ kind: 'accepted', because: 'preference' })
  })

  it.each([-1, Number.NaN, 300_001, Number.POSITIVE_INFINITY, 999_999_999_000])(
    'FM-E6 refuses a wait of %d ms',
    async (waitMs) => {
      const { ask, requests, gateway } = await openWorld()
      const refused = { code: 'ERR_CONFIG', message: `waitMs is ${waitMs}; allowed is a number from 0 to 300000.` }
      await expect(ask.request({ n: 1 }, { waitMs })).rejects.toMatchObject(refused)
      expect(requests).toEqual([])
      expect(gateway.counters).toMatchObject({ pending: 0, open: 0, created: 0 })
    },
  )
})

describe('request: the input', () => {
  it('FM-B14 refuses data that have no JSON form, before anything is written', async () => {
    const { ask, gateway, requests } = await openWorld()
    await expect(ask.request({ n: 1n as unknown as number })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    expect(requests).toEqual([])
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0, created: 0 })
  })

  it.each([
    ['at once', z.object({ n: z.number() })],
    ['later', z.object({ n: z.number().refine(async () => true) })],
  ])(
    'C12 validates the data by the schema, which answers %s, and publishes what it makes of them',
    async (_, schema) => {
      const validate = schema['~standard'].validate
      const Ask = { '~standard': { ...schema['~standard'], validate } }
      const events = { Ask, Done: z.unknown(), NotDone: z.unknown(), Half: z.unknown(), Stop: z.unknown() }
      const { ask, requests, clock } = await openWorld({ options: { events } as never })
      const refused = ask.request({ n: 'one' as unknown as number })
      await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT', details: { issues: [{ path: ['n'] }] } })
      void ask.request({ n: 1, more: 2 } as { n: number })
      await clock.flush()
      expect(requests.map(({ body }) => Buffer.from(body).toString())).toEqual(['{"n":1}'])
    },
  )

  it('a key function that throws is named, and nothing is left', async () => {
    const boom = new Error('boom')
    const key = () => {
      throw boom
    }
    const { ask, gateway } = await openWorld({ command: { key } })
    const refused = { code: 'ERR_HOOK', message: 'The key of Ask has thrown.', cause: boom }
    await expect(ask.request({ n: 1 })).rejects.toMatchObject(refused)
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })
})

describe('request: a caller or a store that misbehaves', () => {
  it.each([Date.now(), -1, Number.NaN, 'x'])(
    'a startedAt of %j is refused, as nobody could wait by it',
    async (startedAt) => {
      const { ask, gateway } = await openWorld()
      const request = ask.request({ n: 1 }, { startedAt: startedAt as number })
      await expect(request).rejects.toMatchObject({ code: 'ERR_CONFIG' })
      expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
    },
  )

  it('an onGone that throws counts as gone: nothing is published and nothing is left', async () => {
    const { ask, clock, gateway, requests } = await openWorld()
    const boom = new Error('boom')
    const onGone = () => {
      throw boom
    }
    await expect(ask.request({ n: 1 }, { onGone })).rejects.toBe(boom)
    await clock.flush()
    expect(requests).toEqual([])
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })

  it('a store that gives nothing for a new operation fails the request, and nothing is left', async () => {
    const store = memoryStore()
    store.create = async () => undefined as never
    const { ask, gateway } = await openWorld({ store })
    await expect(ask.request({ n: 1 })).rejects.toThrow(TypeError)
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })
})

describe('request: not open', () => {
  it('refuses before the start, as nothing could answer', async () => {
    const { ask } = await openWorld({ isStarted: false })
    const refused = { code: 'ERR_NOT_STARTED', details: { outcome: 'not-accepted' } }
    await expect(ask.request({ n: 1 })).rejects.toMatchObject(refused)
  })

  it('refuses from the call of close on', async () => {
    const { ask, gateway } = await openWorld()
    const closed = gateway.close()
    await expect(ask.request({ n: 1 })).rejects.toMatchObject({
      code: 'ERR_CLOSED',
      details: { outcome: 'not-accepted' },
    })
    await closed
    await expect(ask.request({ n: 1 })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('request: the record', () => {
  it('FM-A1 is registered and recorded before it is published', async () => {
    const clock = createFakeClock()
    const calls: string[] = []
    const plan = (call: string) => {
      if (call === 'create' || call === 'publish') calls.push(`${call} with ${world.gateway.counters.pending} waiting`)
      return 'ok' as const
    }
    const world = await openWorld({ clock, store: memoryStore({ clock }), storeFaults: plan, transportFaults: plan })
    void world.ask.request({ n: 1 })
    await clock.flush()
    expect(calls).toEqual(['create with 1 waiting', 'publish with 1 waiting'])
  })

  it('FM-D1 says not-accepted when the store certainly has nothing, and publishes nothing', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const { ask, gateway, requests } = await openWorld({ clock, store })
    await store.close()
    const refused = { code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'not-accepted' } }
    await expect(ask.request({ n: 1 })).rejects.toMatchObject(refused)
    expect(requests).toEqual([])
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })

  it('FM-D1 a full store is a refusal, not an uncertainty', async () => {
    const { ask, requests, clock } = await openWorld({ options: { maxOperations: 1 } })
    void ask.request({ n: 1 })
    const refused = await ask.request({ n: 2 }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'ERR_STORE_FULL', details: { outcome: 'not-accepted' } })
    await clock.flush()
    expect(requests).toHaveLength(1)
  })

  it('an orderly refusal of a store is no uncertainty, whatever it says of itself', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const full = new GatewayError('ERR_STORE_FULL', 'No room.')
    store.create = () => Promise.reject(full)
    const { ask, gateway } = await openWorld({ clock, store })
    await expect(ask.request({ n: 1 })).rejects.toBe(full)
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })

  it.each([
    ['does not answer', 'hang'],
    ['answers after it has created the operation', 'hang-after'],
    ['loses its answer', 'fail-after'],
    ['fails, and does not say when', 'fail-before'],
  ] as const)('FM-D3 says unknown, and names the operation, when the store %s', async (_, fault) => {
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'create' ? fault : 'ok')
    const world = await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    const failed = world.ask.request({ n: 1 }).catch((error: unknown) => error)
    await clock.advance(1100)
    const error = await failed
    expect(error).toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      details: { outcome: 'unknown', operationId: expect.stringMatching(/^[0-9A-Z]{26}$/) },
    })
    expect(world.requests).toEqual([])
    expect(world.gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })

  it('FM-D3 an error that a store throws without a code is unknown too', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    store.create = () => Promise.reject(new Error('ECONNRESET'))
    const { ask } = await openWorld({ clock, store })
    const failed = { code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'unknown', operationId: expect.any(String) } }
    await expect(ask.request({ n: 1 })).rejects.toMatchObject(failed)
  })

  it('FM-D3 what was created all the same is published by the relay', async () => {
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'create' ? 'fail-after' : 'ok')
    const { ask, requests, gateway } = await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    const error = await ask.request({ n: 1 }).catch((thrown: { details: { operationId: string } }) => thrown)
    const { operationId } = (error as { details: { operationId: string } }).details
    await clock.advance(6100)
    expect(requests.map(({ id }) => id)).toEqual([operationId])
    expect(await gateway.operations.get(operationId)).toMatchObject({ state: 'running', published: true })
  })

  it('FM-B7 a store that fails five times in a row refuses at once', async () => {
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'create' ? 'hang' : 'ok')
    const { ask, gateway, noted } = await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    const failed = Array.from({ length: 5 }, () => ask.request({ n: 1 }).catch((error: unknown) => error))
    await clock.advance(1020)
    for (const error of await Promise.all(failed)) expect(error).toMatchObject({ details: { outcome: 'unknown' } })
    expect(gateway.isReady).toBe(false)
    expect(noted).toContain('unavailable')
    const from = clock.monotonic()
    const refused = { code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'not-accepted' } }
    await expect(ask.request({ n: 1 })).rejects.toMatchObject(refused)
    expect(clock.monotonic()).toBe(from)
  })
})

describe('request: the caller leaves', () => {
  it('PEER-T15 an aborted signal does nothing at all', async () => {
    const { ask, gateway } = await openWorld()
    await expect(ask.request({ n: 1 }, { signal: AbortSignal.abort('no') })).rejects.toBe('no')
    expect(gateway.counters).toMatchObject({ created: 0, pending: 0, open: 0, gone: 0 })
  })

  it('FM-A20 before the publish nothing is sent, and the operation is taken back with its key', async () => {
    const clock = createFakeClock()
    const held = gate()
    const storeFaults = (call: string) => (call === 'create' ? held.opened : 'ok')
    const world = await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    const { ask, gateway, requests, noted } = world
    const controller = new AbortController()
    const reply = ask
      .request({ n: 1 }, { signal: controller.signal, idempotencyKey: 'k' })
      .catch((error: unknown) => error)
    await clock.flush()
    controller.abort('left')
    held.open()
    expect(await reply).toBe('left')
    expect(requests).toEqual([])
    expect(noted).toEqual(['started', 'created', 'completed', 'gone'])
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
    void ask.request({ n: 2 }, { idempotencyKey: 'k' })
    await clock.flush()
    expect(requests).toHaveLength(1)
  })

  it('FM-A20 after the publish only the wait ends', async () => {
    const { ask, gateway, requests, clock, answer } = await openWorld()
    const controller = new AbortController()
    const reply = ask.request({ n: 1 }, { signal: controller.signal }).catch((error: unknown) => error)
    await clock.flush()
    controller.abort(new Error('left'))
    expect(await reply).toEqual(new Error('left'))
    expect(gateway.counters).toMatchObject({ pending: 0, open: 1, gone: 1 })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    // PEER-T14: the result is recorded all the same.
    await answer(requests[0])
    expect(await gateway.operations.get(String(requests[0]?.correlationId))).toMatchObject({ state: 'succeeded' })
    expect(gateway.counters.open).toBe(0)
  })

  it('FM-E1 hears of it by a callback, and takes its listener back after a result', async () => {
    const unsubscribe = vi.fn()
    const onGone = vi.fn<OnGone>(() => unsubscribe)
    const { ask } = await openWorld({ worker: (request, world) => world.answer(request) })
    await ask.request({ n: 1 }, { onGone })
    expect([onGone.mock.calls.length, unsubscribe.mock.calls.length]).toEqual([1, 1])
  })

  it('PEER-T5 1,000 requests that share a signal leave no listener, no timer and no wait', async () => {
    const { ask, clock, gateway } = await openWorld({ worker: (request, world) => void world.answer(request) })
    const { signal } = new AbortController()
    setMaxListeners(0, signal)
    const idle = clock.pending
    const replies = await Promise.all(Array.from({ length: 1000 }, (_, n) => ask.request({ n }, { signal })))
    expect(new Set(replies.map(({ kind }) => kind))).toEqual(new Set(['completed']))
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
    // The wheel's one timer may stay until its time.
    expect(clock.pending - idle).toBeLessThanOrEqual(1)
  })
})

describe('request: the end', () => {
  it('FM-A3 reads the store again before it says that time is up', async () => {
    const clock = createFakeClock()
    const store = quietStore(clock)
    const { ask, requests } = await openWorld({ clock, store })
    const reply = watch(ask.request({ n: 1 }, { waitMs: 1000 }))
    await clock.flush()
    const [request] = requests
    // As the recorder of another instance does, of which this one hears nothing.
    const ending = { state: 'succeeded', result: resultOf(request, clock), command: 'Ask' } as const
    await store.complete(String(request?.id), ending)
    await clock.advance(980)
    expect(reply.isSettled).toBe(false)
    await clock.advance(40)
    expect(await reply.promise).toMatchObject({ kind: 'completed' })
  })

  it('when the store cannot say, the operation goes on', async () => {
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'get' ? 'fail-before' : 'ok')
    const { ask, errors } = await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    const reply = ask.request({ n: 1 }, { waitMs: 100 })
    await clock.advance(120)
    expect(await reply).toMatchObject({ kind: 'accepted', because: 'timeout' })
    expect(errors).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
  })

  it('FM-P7 a store that hangs then costs no more than 200 ms', async () => {
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'get' ? 'hang' : 'ok')
    const { ask } = await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    const reply = watch(ask.request({ n: 1 }, { waitMs: 100 }))
    await clock.advance(330)
    expect(reply.isSettled).toBe(true)
    expect(await reply.promise).toMatchObject({ kind: 'accepted', because: 'timeout' })
  })

  it('FM-D19 an operation that somebody has deleted goes on as far as anybody can tell', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    store.get = async () => undefined
    const { ask } = await openWorld({ clock, store })
    const reply = ask.request({ n: 1 }, { waitMs: 100 })
    await clock.advance(120)
    expect(await reply).toMatchObject({ kind: 'accepted', operation: { state: 'running' } })
  })

  it('an operation that is canceled meanwhile is an end without an event', async () => {
    const { ask, clock, gateway, requests } = await openWorld()
    const reply = ask.request({ n: 1 })
    await clock.flush()
    await gateway.operations.cancel(String(requests[0]?.correlationId))
    expect(await reply).toMatchObject({
      kind: 'ended',
      operation: { state: 'canceled', error: { code: 'ERR_OPERATION_CANCELED' } },
    })
    expect(await reply).not.toHaveProperty('replayed')
  })
})

describe('request: limits', () => {
  it('FM-F5 beyond maxPending the answer is deferred at once, and nothing is lost', async () => {
    const { ask, clock, gateway, requests } = await openWorld({ options: { maxPending: 2 } })
    const parked = [ask.request({ n: 1 }), ask.request({ n: 2 })].map(watch)
    await clock.flush()
    expect(gateway.isFullFor(undefined)).toBe(true)
    expect(await ask.request({ n: 3 })).toMatchObject({ kind: 'accepted', because: 'overload' })
    expect(await ask.request({ n: 4 }, { waitMs: 0 })).toMatchObject({ kind: 'accepted', because: 'overload' })
    await clock.flush()
    expect(requests).toHaveLength(4)
    expect(parked.map(({ isSettled }) => isSettled)).toEqual([false, false])
  })

  it.each([
    ['there is no store', { store: 'none' }, {}],
    ['the caller cannot hand out an operation', {}, { deferrable: false }],
  ] as const)('FM-P2 beyond maxPending a request is refused where %s', async (_, world, options) => {
    const { ask, gateway, requests, noted } = await openWorld({ ...world, options: { maxPending: 0 } })
    const refused = {
      code: 'ERR_OVERLOADED',
      message: 'As many requests are waiting as may, in all or for this principal; nothing was started.',
      details: { outcome: 'not-accepted' },
    }
    await expect(ask.request({ n: 1 }, options)).rejects.toMatchObject(refused)
    expect(requests).toEqual([])
    expect(gateway.counters).toMatchObject({ shed: 1, created: 0, pending: 0, open: 0 })
    expect(noted).toContain('shed')
  })

  it('FM-F6 FM-F7 refuses beyond the limits of gateway, command and caller, and counts down again', async () => {
    const sheds: unknown[] = []
    const { ask, clock, gateway, requests, answer } = await openWorld({
      ...{ options: { maxOpen: 3, maxPerPrincipal: 1 }, command: { maxOpen: 2 } },
    })
    gateway.on('shed', (shed) => sheds.push(shed))
    void ask.request({ n: 1 }, { principal: 'ada' })
    await expect(ask.request({ n: 2 }, { principal: 'ada' })).rejects.toMatchObject({ code: 'ERR_TOO_MANY_REQUESTS' })
    void ask.request({ n: 3 }, { principal: 'bob' })
    await expect(ask.request({ n: 4 }, { principal: 'cy' })).rejects.toMatchObject({ code: 'ERR_TOO_MANY_REQUESTS' })
    await clock.flush()
    expect(requests).toHaveLength(2)
    expect(sheds).toEqual([
      { code: 'ERR_TOO_MANY_REQUESTS', command: 'Ask', principal: 'ada' },
      { code: 'ERR_TOO_MANY_REQUESTS', command: 'Ask', principal: 'cy' },
    ])
    await answer(requests[0])
    expect(gateway.counters.open).toBe(1)
    void ask.request({ n: 5 }, { principal: 'ada' })
    await clock.flush()
    for (const request of requests.slice(1)) await answer(request)
    expect(gateway.counters).toMatchObject({ open: 0, pending: 0, created: 3, completed: 3, shed: 2 })
  })

  it('FM-B7 refuses at once while the broker is known to be away', async () => {
    const { ask, gateway, clock, noted } = await openWorld({
      transportFaults: (call) => (call === 'publish' ? 'fail-before' : 'ok'),
    })
    for (let count = 0; count < 5; count += 1) {
      expect(await ask.request({ n: 1 })).toMatchObject({
        kind: 'ended',
        operation: { error: { code: 'ERR_PUBLISH_REJECTED' } },
      })
    }
    expect(gateway.isReady).toBe(false)
    const refused = { code: 'ERR_TRANSPORT_UNAVAILABLE', details: { outcome: 'not-accepted' } }
    await expect(ask.request({ n: 1 })).rejects.toMatchObject(refused)
    expect(gateway.counters).toMatchObject({ shed: 1, created: 5, open: 0 })
    expect(noted).toContain('unavailable')
    // The probe of the housekeeping finds it back, without any traffic.
    await clock.advance(2000)
    expect(gateway.isReady).toBe(true)
    expect(noted).toContain('available')
  })
})

describe("request: store 'none'", () => {
  it('answers results as with a store', async () => {
    const { ask, gateway } = await openWorld({ store: 'none', worker: (request, world) => world.answer(request) })
    expect(await ask.request({ n: 1 })).toMatchObject({ kind: 'completed', operation: { state: 'succeeded' } })
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0, completed: 1 })
  })

  it('FM-A19 a late result finds nothing, and nothing is left', async () => {
    const { ask, clock, gateway, requests, answer } = await openWorld({ store: 'none' })
    const reply = ask.request({ n: 1 }, { waitMs: 100, idempotencyKey: 'k' })
    await clock.advance(120)
    const { operation, kind } = await reply
    expect(kind).toBe('accepted')
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
    expect(await gateway.operations.get(operation.id)).toBeUndefined()
    await answer(requests[0])
    expect(gateway.counters).toMatchObject({ skipped: 1, completed: 0, orphan: 0 })
    expect(await gateway.operations.cancel(operation.id)).toBeUndefined()
    expect(await gateway.operations.wait(operation.id)).toBeUndefined()
  })

  it('an operation can be looked at, awaited and canceled while somebody waits', async () => {
    const { ask, clock, gateway, requests } = await openWorld({ store: 'none' })
    const reply = ask.request({ n: 1 })
    await clock.flush()
    const id = String(requests[0]?.correlationId)
    expect(await gateway.operations.get(id)).toMatchObject({ state: 'running' })
    const waiting = gateway.operations.wait(id, { waitMs: 1000 })
    expect(await gateway.operations.cancel(id)).toMatchObject({ verdict: 'won' })
    expect(await reply).toMatchObject({ kind: 'ended', operation: { state: 'canceled' } })
    expect(await waiting).toMatchObject({ state: 'canceled' })
  })
})
