import { getEventListeners } from 'node:events'
import { memoryStore } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { directTransport, openWorld, quietStore, resultOf, type WorldOptions, watch } from './support.js'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'

async function openRunning(init: WorldOptions = {}) {
  const world = await openWorld(init)
  void world.ask.request(
    { n: 1, key: 'k1' },
    { tenant: 't', traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`, waitMs: 0 },
  )
  await world.clock.flush()
  const [request] = world.requests
  return { ...world, request, id: String(request?.id), operations: world.gateway.operations }
}

describe('operations.get', () => {
  it('gives the operation as it stands, or nothing', async () => {
    const { operations, id, answer, request } = await openRunning()
    expect(await operations.get(id)).toMatchObject({ id, state: 'running', version: 1 })
    await answer(request)
    expect(await operations.get(id)).toMatchObject({ state: 'succeeded', version: 2 })
    expect(await operations.get('unknown')).toBeUndefined()
  })

  it('PEER-T12 finds an operation as soon as it has been accepted', async () => {
    const { ask, gateway } = await openWorld()
    const { operation } = await ask.request({ n: 1 }, { waitMs: 0 })
    expect(await gateway.operations.get(operation.id)).toMatchObject({ state: 'running' })
  })

  it('is refused at once while the store is away', async () => {
    const clock = createFakeClock()
    const { gateway } = await openWorld({
      clock,
      store: memoryStore({ clock }),
      storeFaults: (call) => (call === 'get' ? 'fail-before' : 'ok'),
    })
    for (let count = 0; count < 5; count += 1) await gateway.operations.get('x').catch(() => {})
    const refused = {
      code: 'ERR_STORE_UNAVAILABLE',
      message: 'The connection is down; it is tried again every second.',
    }
    await expect(gateway.operations.get('x')).rejects.toMatchObject(refused)
  })
})

describe('operations.wait', () => {
  it('resolves at the end of the operation, for everybody who waits', async () => {
    const { operations, id, answer, request, gateway } = await openRunning()
    const waiting = [
      operations.wait(id),
      operations.wait(id, { waitMs: 300_000 }),
      operations.wait(id, { seenVersion: 1 }),
    ]
    await Promise.resolve()
    expect(gateway.counters.pending).toBe(3)
    await answer(request)
    for (const operation of await Promise.all(waiting)) expect(operation).toMatchObject({ state: 'succeeded' })
    expect(gateway.counters.pending).toBe(0)
  })

  it('resolves to the operation as it is when time is up', async () => {
    const { operations, id, clock } = await openRunning({ options: { waitMs: 2000 } })
    const byDefault = watch(operations.wait(id))
    const asked = watch(operations.wait(id, { waitMs: 100 }))
    await clock.advance(120)
    expect([asked.isSettled, byDefault.isSettled]).toEqual([true, false])
    await clock.advance(1900)
    expect(await byDefault.promise).toMatchObject({ state: 'running', version: 1 })
  })

  it('gives what is there already without waiting', async () => {
    const { operations, id, answer, request, gateway } = await openRunning()
    expect(await operations.wait('unknown')).toBeUndefined()
    await answer(request, 'Half')
    expect(await operations.wait(id, { seenVersion: 1 })).toMatchObject({ state: 'running', version: 2 })
    expect(await operations.wait(id, { waitMs: 0 })).toMatchObject({ state: 'running' })
    await answer(request)
    expect(await operations.wait(id, { seenVersion: 99 })).toMatchObject({ state: 'succeeded' })
    expect(gateway.counters.pending).toBe(0)
  })

  it('with a version it resolves at any change beyond it', async () => {
    const { operations, id, answer, request, clock } = await openRunning()
    const forTheEnd = watch(operations.wait(id))
    const forChanges = operations.wait(id, { seenVersion: 1 })
    await clock.flush()
    await answer(request, 'Half', { data: { percent: 50 } })
    expect(await forChanges).toMatchObject({ version: 2, progress: { sequence: 1 } })
    expect(forTheEnd.isSettled).toBe(false)
  })

  it('FM-E1 gives the operation as it is to a caller that leaves, and takes the listener back', async () => {
    const { operations, id, clock, gateway } = await openRunning()
    const controller = new AbortController()
    const waiting = operations.wait(id, { signal: controller.signal })
    await clock.flush()
    controller.abort()
    expect(await waiting).toMatchObject({ state: 'running' })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(gateway.counters.pending).toBe(0)
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 999_999_999_000])(
    'FM-E6 refuses a wait of %d ms',
    async (waitMs) => {
      const { operations, id, gateway } = await openRunning()
      await expect(operations.wait(id, { waitMs })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
      expect(gateway.counters.pending).toBe(0)
    },
  )

  it('nothing is left when the store fails', async () => {
    let isDown = false
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'get' && isDown ? 'fail-before' : 'ok')
    const { operations, id, gateway } = await openRunning({ clock, store: memoryStore({ clock }), storeFaults })
    isDown = true
    await expect(operations.wait(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(gateway.counters.pending).toBe(0)
  })

  it('FM-D19 nobody waits for ever for what somebody has deleted', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const { operations, id } = await openRunning({ clock, store })
    const waiting = operations.wait(id, { waitMs: 100 })
    await clock.flush()
    store.get = async () => undefined
    await clock.advance(120)
    expect(await waiting).toBeUndefined()
  })
})

describe('operations.cancel', () => {
  it('FM-D6 ends a running operation, wakes those who wait, and tells the workers', async () => {
    const { operations, id, requests, clock, gateway, request } = await openRunning()
    const waiting = operations.wait(id)
    const settled = await operations.cancel(id)
    expect(settled).toMatchObject({
      ...{
        verdict: 'won',
        operation: { id, state: 'canceled', version: 2, error: { code: 'ERR_OPERATION_CANCELED' } },
      },
    })
    expect(await waiting).toMatchObject({ state: 'canceled' })
    await clock.flush()
    const [, event] = requests
    expect(event).toMatchObject({
      type: 'Stop',
      source: 'gateway',
      correlationId: id,
      causationId: request?.id,
      key: 'k1',
    })
    expect(event).toMatchObject({ tenant: 't', traceparent: expect.stringContaining(TRACE_ID) })
    expect(event?.id).not.toBe(id)
    expect(Buffer.from(event?.body ?? []).toString()).toBe(JSON.stringify({ id }))
    expect(gateway.counters).toMatchObject({ open: 0, completed: 1 })
  })

  it('tells the workers under the same key, also when the request event is no longer kept', async () => {
    const { operations, id, requests, clock } = await openRunning()
    await clock.advance(3000)
    expect(await operations.get(id)).toMatchObject({ published: true, request: undefined })
    await operations.cancel(id)
    await clock.flush()
    expect(requests[1]).toMatchObject({ type: 'Stop', correlationId: id, key: 'k1' })
  })

  it('D21 of one that has ended gives how it ended, and tells nobody', async () => {
    const { operations, id, requests, answer, request } = await openRunning()
    await answer(request)
    expect(await operations.cancel(id)).toMatchObject({ verdict: 'ended', operation: { state: 'succeeded' } })
    expect(requests).toHaveLength(1)
    expect(await operations.cancel('unknown')).toBeUndefined()
  })

  it('a second one finds the operation canceled', async () => {
    const { operations, id, requests, clock } = await openRunning()
    await operations.cancel(id)
    expect(await operations.cancel(id)).toMatchObject({ verdict: 'ended', operation: { state: 'canceled' } })
    await clock.flush()
    expect(requests).toHaveLength(2)
  })

  it('E07 of another version than the one that is meant changes nothing', async () => {
    const { operations, id, answer, request, requests } = await openRunning()
    await answer(request, 'Half')
    expect(await operations.cancel(id, { ifVersion: 1 })).toMatchObject({
      verdict: 'stale',
      operation: { state: 'running' },
    })
    expect(requests).toHaveLength(1)
    expect(await operations.cancel(id, { ifVersion: 2 })).toMatchObject({ verdict: 'won' })
  })

  it('stands although the workers cannot be told', async () => {
    let isDown = false
    const { operations, id, errors } = await openRunning({
      transportFaults: (call) => (call === 'publish' && isDown ? 'fail-before' : 'ok'),
    })
    isDown = true
    expect(await operations.cancel(id)).toMatchObject({ verdict: 'won' })
    expect(errors).toMatchObject([{ code: 'ERR_TRANSPORT_UNAVAILABLE' }])
  })

  it('tells nobody where the command has no event for it, or is not known here', async () => {
    const { operations, id, requests, clock } = await openRunning({ command: { cancel: undefined } as never })
    await operations.cancel(id)
    await clock.flush()
    expect(requests).toHaveLength(1)
    const store = memoryStore({ clock })
    const { ask } = await openWorld({ clock, store })
    const { operation } = await ask.request({ n: 1 }, { waitMs: 0 })
    const other = await openWorld({ clock, store, transport: directTransport(), command: { publish: 'Stop' } as never })
    expect(await other.gateway.operations.cancel(operation.id)).toMatchObject({ verdict: 'won' })
    expect((other.transport as ReturnType<typeof directTransport>).published).toEqual([])
  })

  it('D20 a worker that finishes all the same is late', async () => {
    const { operations, id, answer, request, gateway } = await openRunning()
    await operations.cancel(id)
    const late = await answer(request)
    expect(await operations.get(id)).toMatchObject({ state: 'canceled', lateResult: { id: late.id } })
    expect(gateway.counters.late).toBe(1)
  })

  it('FM-D6 a result that came first wins', async () => {
    const clock = createFakeClock()
    const store = quietStore(clock)
    const { operations, id, request } = await openRunning({ clock, store })
    const get = store.get.bind(store)
    store.get = async (wanted) => {
      const before = await get(wanted)
      await store.complete(wanted, { state: 'succeeded', result: resultOf(request, clock), command: 'Ask' })
      return before
    }
    expect(await operations.cancel(id)).toMatchObject({ verdict: 'ended', operation: { state: 'succeeded' } })
  })
})
