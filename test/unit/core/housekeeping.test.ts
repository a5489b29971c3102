import { memoryStore } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js'
import type { Fault } from '../../../src/testing/faulty.js'
import { directTransport, openWorld, quietStore, resultOf, watch } from './support.js'

describe('housekeeping: expiry', () => {
  it('PEER-T19 FM-D7 an operation without a result expires, and whoever waits hears it', async () => {
    const { ask, clock, gateway, requests, answer, noted } = await openWorld({ options: { operationTtlMs: 10_000 } })
    const reply = watch(ask.request({ n: 1 }, { waitMs: 20_000 }))
    await clock.advance(9900)
    expect(reply.isSettled).toBe(false)
    await clock.advance(1200)
    expect(await reply.promise).toMatchObject({
      kind: 'ended',
      operation: { state: 'expired', error: { code: 'ERR_RESULT_TIMEOUT' } },
    })
    expect(gateway.counters).toMatchObject({ completed: 1, open: 0, pending: 0 })
    expect(noted.at(-1)).toBe('completed')
    const late = await answer(requests[0])
    const { id } = (await reply.promise).operation
    expect(await gateway.operations.get(id)).toMatchObject({ state: 'expired', lateResult: { id: late.id } })
    expect(gateway.counters.late).toBe(1)
  })

  it('FM-D8 two gateways on one store report each expiry once', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const options = { operationTtlMs: 5000 }
    const [a, b] = [await openWorld({ clock, store, options }), await openWorld({ clock, store, options })]
    for (let n = 0; n < 5; n += 1) void a.ask.request({ n }, { waitMs: 0 })
    await clock.advance(7000)
    expect(a.gateway.counters.completed + b.gateway.counters.completed).toBe(5)
    expect(a.gateway.counters.open).toBe(0)
  })

  it('FM-F14 many that expire at once are swept in portions, in one round', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const sweeps: number[] = []
    const sweep = store.sweep.bind(store)
    store.sweep = async (limit) => {
      const expired = await sweep(limit)
      sweeps.push(expired.length)
      return expired
    }
    const { ask } = await openWorld({ clock, store, options: { operationTtlMs: 5000 } })
    for (let n = 0; n < 1200; n += 1) void ask.request({ n }, { waitMs: 0 })
    await clock.advance(6500)
    expect(sweeps.filter((count) => count > 0)).toEqual([500, 500, 200])
  })

  it.each([
    ['until nothing is left', 0, [12, 1, 1]],
    ['for half a second of a round at most', 200, [3, 3, 3]],
  ])('FM-F14 what has had its time is dropped in portions, %s', async (_, takesMs, expected) => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    let taken = 0
    let left = 12
    const rounds: number[] = []
    store.purge = async (limit) => {
      expect(limit).toBe(500)
      const round = Math.floor(clock.monotonic() / 1000)
      rounds[round] = (rounds[round] ?? 0) + 1
      taken += takesMs
      left -= 1
      return left > 0
    }
    await openWorld({ clock: { ...clock, monotonic: () => clock.monotonic() + taken } as FakeClock, store })
    await clock.advance(3500)
    expect(rounds.filter((count) => count > 0)).toEqual(expected)
  })

  it('goes on while the broker is away', async () => {
    const { ask, clock, transport, gateway } = await openWorld({
      transport: directTransport(),
      options: { operationTtlMs: 5000 },
    })
    const reply = ask.request({ n: 1 }, { waitMs: 60_000 })
    await clock.flush()
    const { listener, check } = transport as ReturnType<typeof directTransport>
    Object.assign(transport, { check: () => Promise.reject(new Error('still away')) })
    listener?.down(new Error('away'))
    await clock.advance(7000)
    expect(gateway.isReady).toBe(false)
    expect(await reply).toMatchObject({ kind: 'ended', operation: { state: 'expired' } })
    Object.assign(transport, { check })
  })

  it('FM-F1 what ended elsewhere unseen is no longer counted once it must have expired', async () => {
    const clock = createFakeClock()
    const store = quietStore(clock)
    const transport = directTransport()
    const { ask, gateway } = await openWorld({ clock, store, transport, options: { operationTtlMs: 5000 } })
    void ask.request({ n: 1 }, { waitMs: 0 })
    await clock.flush()
    const [request] = transport.published
    await store.complete(String(request?.id), { state: 'succeeded', result: resultOf(request, clock), command: 'Ask' })
    await clock.advance(4500)
    expect(gateway.counters.open).toBe(1)
    await clock.advance(2000)
    expect(gateway.counters.open).toBe(0)
  })
})

describe('housekeeping: what is away', () => {
  async function openFaulty(part: 'store' | 'transport') {
    const clock = createFakeClock()
    const state: { fault: Fault } = { fault: 'ok' }
    const plan = (call: string) =>
      ['get', 'sweep', 'create', 'publish', 'check', 'leaseUnpublished'].includes(call) ? state.fault : 'ok'
    const faults = part === 'store' ? { storeFaults: plan } : { transportFaults: plan }
    const world = await openWorld({ clock, store: memoryStore({ clock }), ...faults })
    return { ...world, state }
  }

  it.each(['fail-before', 'hang'] as const)(
    'FM-D2 finds a store that does: %s; and finds it back without any traffic',
    async (fault) => {
      const { clock, state, gateway, noted, errors } = await openFaulty('store')
      state.fault = fault
      await clock.advance(20_000)
      expect(gateway.isReady).toBe(false)
      expect(noted.filter((name) => name === 'unavailable')).toHaveLength(1)
      const reported = errors.length
      await clock.advance(10_000)
      // The probes in between are no news.
      expect(errors).toHaveLength(reported)
      state.fault = 'ok'
      await clock.advance(4000)
      expect(gateway.isReady).toBe(true)
      expect(noted.filter((name) => name === 'available')).toHaveLength(1)
    },
  )

  it.each(['store', 'transport'] as const)(
    'FM-D2 an idle gateway notices a refused %s within a second',
    async (part) => {
      const { clock, state, gateway, noted } = await openFaulty(part)
      await clock.advance(5500)
      expect(gateway.isReady).toBe(true)
      state.fault = 'fail-before'
      await clock.advance(1050)
      expect(gateway.isReady).toBe(false)
      await clock.advance(20_000)
      expect(gateway.isReady).toBe(false)
      state.fault = 'ok'
      await clock.advance(1050)
      expect(gateway.isReady).toBe(true)
      expect(noted.filter((name) => name.endsWith('available'))).toEqual(['unavailable', 'available'])
    },
  )

  it.each(['store', 'transport'] as const)('a %s that is silent once is no reason', async (part) => {
    const { clock, state, gateway, noted } = await openFaulty(part)
    await clock.advance(500)
    state.fault = 'hang'
    await clock.advance(1000)
    state.fault = 'ok'
    await clock.advance(10_000)
    expect(gateway.isReady).toBe(true)
    expect(noted).not.toContain('unavailable')
  })

  it.each(['store', 'transport'] as const)('FM-D2 an idle gateway notices a silent %s in ten seconds', async (part) => {
    const { clock, state, gateway } = await openFaulty(part)
    await clock.advance(500)
    state.fault = 'hang'
    await clock.advance(2500)
    expect(gateway.isReady).toBe(true)
    await clock.advance(8000)
    expect(gateway.isReady).toBe(false)
  })

  it.each(['store', 'transport'] as const)(
    'FM-B7 spends no request on finding out whether a silent %s is back',
    async (part) => {
      const { clock, state, gateway, ask } = await openFaulty(part)
      state.fault = 'hang'
      await clock.advance(12_000)
      expect(gateway.isReady).toBe(false)
      for (let second = 0; second < 5; second += 1) {
        const asked = watch(ask.request({ n: second }, { waitMs: 60_000 }))
        await clock.advance(10)
        expect(asked.isSettled).toBe(true)
        await expect(asked.promise).rejects.toMatchObject({ details: { outcome: 'not-accepted' } })
        await clock.advance(1500)
      }
      state.fault = 'ok'
      await clock.advance(4000)
      expect(gateway.isReady).toBe(true)
    },
  )

  it('a given store is asked once a second, also while all is well', async () => {
    const clock = createFakeClock()
    const checks: string[] = []
    const storeFaults = (call: string) => {
      if (call === 'check') checks.push(call)
      return 'ok' as const
    }
    await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    await clock.advance(10_050)
    expect(checks).toHaveLength(10)
  })

  it('tells which part is away, and why', async () => {
    const { clock, state, gateway } = await openFaulty('store')
    const heard: unknown[] = []
    gateway.on('unavailable', (event) => heard.push(event))
    gateway.on('available', (event) => heard.push(event))
    state.fault = 'fail-before'
    await clock.advance(10_000)
    state.fault = 'ok'
    await clock.advance(4000)
    expect(heard).toMatchObject([{ part: 'store', cause: { code: 'ERR_STORE_UNAVAILABLE' } }, { part: 'store' }])
  })

  it('FM-B18 after a broken connection those who wait get what came meanwhile', async () => {
    const clock = createFakeClock()
    const store = quietStore(clock)
    const transport = directTransport()
    const { ask, gateway, noted } = await openWorld({ clock, store, transport })
    const replies = Array.from({ length: 120 }, (_, n) => watch(ask.request({ n }, { waitMs: 60_000 })))
    await clock.flush()
    transport.listener?.down(new Error('gone'))
    expect(gateway.isReady).toBe(false)
    for (const request of transport.published) {
      await store.complete(request.id, { state: 'succeeded', result: resultOf(request, clock), command: 'Ask' })
    }
    await clock.flush()
    expect(replies.some(({ isSettled }) => isSettled)).toBe(false)
    transport.listener?.up()
    await clock.flush()
    expect(gateway.isReady).toBe(true)
    for (const { promise } of replies) expect(await promise).toMatchObject({ kind: 'completed' })
    expect(noted.filter((name) => name.endsWith('available'))).toEqual(['unavailable', 'available'])
  })

  it('what cannot be read again then is reported', async () => {
    const clock = createFakeClock()
    let isDown = false
    const transport = directTransport()
    const storeFaults = (call: string) => (call === 'get' && isDown ? 'fail-before' : 'ok')
    const { ask, errors } = await openWorld({ clock, store: memoryStore({ clock }), transport, storeFaults })
    void ask.request({ n: 1 }, { waitMs: 60_000 })
    await clock.flush()
    isDown = true
    transport.listener?.up()
    await clock.flush()
    expect(errors).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
  })
})

describe('housekeeping: changes that a store tells of', () => {
  it('reads an operation only when somebody here cares for it', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    let tell: (id: string) => void = () => {}
    const reads: string[] = []
    const get = store.get.bind(store)
    store.get = (id) => {
      reads.push(id)
      return get(id)
    }
    store.watch = async (listener) => {
      tell = (id) => listener(id)
      return async () => {}
    }
    const { ask, requests, gateway } = await openWorld({ clock, store })
    const reply = ask.request({ n: 1 }, { waitMs: 60_000 })
    await clock.flush()
    const id = String(requests[0]?.id)
    await store.complete(id, { state: 'succeeded', result: resultOf(requests[0], clock), command: 'Ask' })
    tell('of-no-interest')
    tell(id)
    expect(await reply).toMatchObject({ kind: 'completed' })
    tell(id)
    expect(reads).toEqual([id])
    expect(gateway.counters.open).toBe(0)
  })

  it('one that runs here without anybody waiting is read as well', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    let tell: (id: string) => void = () => {}
    store.watch = async (listener) => {
      tell = (id) => listener(id)
      return async () => {}
    }
    const { ask, gateway } = await openWorld({ clock, store })
    const { operation } = await ask.request({ n: 1 }, { waitMs: 0 })
    await store.complete(operation.id, { state: 'canceled', error: { code: 'ERR_OPERATION_CANCELED', message: '' } })
    tell(operation.id)
    await clock.flush()
    expect(gateway.counters.open).toBe(0)
  })
})

describe('housekeeping: the event loop', () => {
  /** A clock whose loop runs as late as the test says. */
  function lateClock() {
    const loop = { lateMs: 0, isClosed: false }
    const close = () => {
      loop.isClosed = true
    }
    const watchLoop = () => ({ read: () => loop.lateMs, close })
    return { loop, clock: Object.assign(createFakeClock(), { watchLoop }) }
  }

  it('FM-F8 while it stalls, requests that can be deferred are, and those that cannot wait on', async () => {
    const { loop, clock } = lateClock()
    const { ask, gateway } = await openWorld({ clock })
    loop.lateMs = 201
    const before = watch(ask.request({ n: 1 }, { waitMs: 30_000 }))
    await clock.advance(1000)
    expect(before.isSettled).toBe(false)
    expect(await ask.request({ n: 2 }, { waitMs: 30_000 })).toMatchObject({ kind: 'accepted', because: 'overload' })
    const stays = watch(ask.request({ n: 3 }, { waitMs: 30_000, deferrable: false }))
    loop.lateMs = 200
    await clock.advance(1000)
    const after = watch(ask.request({ n: 4 }, { waitMs: 30_000 }))
    await clock.flush()
    expect([before, stays, after].map(({ isSettled }) => isSettled)).toEqual([false, false, false])
    await gateway.close({ drainMs: 0 })
    expect(loop.isClosed).toBe(true)
  })
})
