import { cloudEvents, createGateway, memoryStore, memoryTransport, nest, spring, type Transport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { type Fault, faultyStore, faultyTransport } from '../../../src/testing/faulty.js'
import { directTransport, gate, openWorld, resultOf, watch } from './support.js'

describe('start', () => {
  it('connects once, however often it is called, and says what it promises', async () => {
    const clock = createFakeClock()
    const calls: string[] = []
    const plan = (call: string): Fault => {
      calls.push(call)
      return 'ok'
    }
    const store = memoryStore({ clock })
    const { gateway, noted } = await openWorld({
      clock,
      store,
      storeFaults: plan,
      transportFaults: plan,
      isStarted: false,
    })
    expect(gateway.isReady).toBe(false)
    const heard: unknown[] = []
    gateway.on('started', (event) => heard.push(event))
    const started = gateway.start()
    expect(gateway.start()).toBe(started)
    await started
    expect(gateway.isReady).toBe(true)
    expect(calls).toEqual(['start', 'start', 'subscribe', 'subscribe', 'watch'])
    expect(heard).toEqual([{ durability: { class: 'process' }, skippedChecks: { transport: [], store: [] } }])
    expect(noted).toEqual(['started'])
  })

  it('tells the store how long it waits for a call', async () => {
    const told: unknown[] = []
    const store = faultyStore(memoryStore(), (call, args) => {
      if (call === 'start') told.push(...args)
      return 'ok'
    })
    const gateway = createGateway({ transport: memoryTransport(), store, storeTimeoutMs: 12_000 })
    await gateway.start()
    expect(told).toEqual([{ callTimeoutMs: 12_000 }])
    await gateway.close()
  })

  it('tells what transport and store were not allowed to check, as it is after the start', async () => {
    const denied = <T extends object>(part: T, ...names: string[]): T => {
      let found: string[] = []
      const start = async () => {
        await (Reflect.get(part, 'start') as () => Promise<void>).call(part)
        found = names
      }
      const get = (_: T, name: string) => {
        if (name === 'skippedChecks') return found
        if (name === 'start') return start
        const value = Reflect.get(part, name)
        return typeof value === 'function' ? value.bind(part) : value
      }
      return new Proxy(part, { get } as ProxyHandler<T>)
    }
    const gateway = createGateway({
      transport: denied(memoryTransport(), 'cleanup.policy of results'),
      store: denied(memoryStore(), 'CONFIG GET appendfsync'),
    })
    const heard: unknown[] = []
    gateway.on('started', ({ skippedChecks }) => heard.push(skippedChecks))
    await gateway.start()
    expect(heard).toEqual([{ transport: ['cleanup.policy of results'], store: ['CONFIG GET appendfsync'] }])
    await gateway.close()
  })

  it('FM-C6 requests are taken only when results will be seen', async () => {
    const held = gate()
    const { gateway, ask } = await openWorld({
      ...{ isStarted: false, transportFaults: (call) => (call === 'subscribe' ? held.opened : 'ok') },
    })
    const started = watch(gateway.start())
    await expect(ask.request({ n: 1 })).rejects.toMatchObject({ code: 'ERR_NOT_STARTED' })
    expect(gateway.isReady).toBe(false)
    held.open()
    await started.promise
    expect(gateway.isReady).toBe(true)
  })

  it('rejects when the broker cannot be reached, and the gateway can be closed all the same', async () => {
    const { gateway, ask, noted } = await openWorld({
      ...{ isStarted: false, transportFaults: (call) => (call === 'start' ? 'fail-before' : 'ok') },
    })
    await expect(gateway.start()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    await expect(gateway.start()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    await expect(ask.request({ n: 1 })).rejects.toMatchObject({ code: 'ERR_NOT_STARTED' })
    await gateway.close()
    // Told to whoever runs it too: the client is not the one to mend it.
    expect(noted).toEqual(['error', 'draining', 'stopped'])
  })

  it('is refused after close', async () => {
    const { gateway } = await openWorld({ isStarted: false })
    await gateway.close()
    await expect(gateway.start()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('close', () => {
  it('FM-E10 PEER-T13 with a store of its own kind it answers everybody at once', async () => {
    const clock = createFakeClock()
    const { gateway, ask, noted } = await openWorld({
      clock,
      store: memoryStore({ clock }),
      options: { maxPending: 2000 },
    })
    const parked = Array.from({ length: 1000 }, (_, n) => ask.request({ n }))
    await clock.flush()
    await gateway.close()
    const replies = await Promise.all(parked)
    expect(replies.every((reply) => reply.kind === 'accepted' && reply.because === 'shutdown')).toBe(true)
    expect(noted.filter((name) => name === 'deferred')).toHaveLength(1000)
    expect(noted.at(-1)).toBe('stopped')
    expect(gateway.counters.pending).toBe(0)
  })

  it('FM-E10 with the store of the gateway itself it waits for results for a time, as nothing is kept afterwards', async () => {
    const { gateway, ask, clock, requests, answer } = await openWorld({ options: { drainMs: 3000, waitMs: 60_000 } })
    const [first, second] = [ask.request({ n: 1 }), ask.request({ n: 2 })]
    await clock.flush()
    const closing = watch(gateway.close())
    expect(gateway.isClosing).toBe(true)
    expect(gateway.isReady).toBe(false)
    await clock.advance(1000)
    await answer(requests[0])
    expect(await first).toMatchObject({ kind: 'completed' })
    expect(closing.isSettled).toBe(false)
    await clock.advance(2020)
    expect(await second).toMatchObject({ kind: 'accepted', because: 'shutdown' })
    await closing.promise
  })

  it('and not longer than there is somebody to wait for', async () => {
    const { gateway, ask, clock, requests, answer } = await openWorld()
    const reply = ask.request({ n: 1 })
    await clock.flush()
    const closing = watch(gateway.close())
    await clock.flush()
    expect(closing.isSettled).toBe(false)
    await answer(requests[0])
    expect(await reply).toMatchObject({ kind: 'completed' })
    await closing.promise
  })

  it.each([
    ['as an option of the gateway', { drainMs: 0 }, {}],
    ['as an option of the call', {}, { drainMs: 0 }],
  ])('drainMs 0, %s, waits for nobody', async (_, options, call) => {
    const { gateway, ask, clock } = await openWorld({ options })
    const reply = ask.request({ n: 1 })
    await clock.flush()
    await gateway.close(call)
    expect(await reply).toMatchObject({ kind: 'accepted', because: 'shutdown' })
  })

  it("with store 'none' it waits too", async () => {
    const { gateway, ask, clock, requests, answer } = await openWorld({ store: 'none' })
    const reply = ask.request({ n: 1 })
    await clock.flush()
    const closing = gateway.close()
    await clock.flush()
    await answer(requests[0])
    expect(await reply).toMatchObject({ kind: 'completed' })
    await closing
  })

  it('gives the same promise to every caller', async () => {
    const { gateway, noted } = await openWorld()
    const closing = gateway.close()
    expect(gateway.close({ drainMs: 0 })).toBe(closing)
    await closing
    await gateway.close()
    expect(noted).toEqual(['started', 'draining', 'stopped'])
  })

  it('before start leaves alone what others have started', async () => {
    const clock = createFakeClock()
    const shared = { clock, transport: memoryTransport({ clock }), store: memoryStore({ clock }) }
    const a = await openWorld({ ...shared, worker: (request, world) => world.answer(request) })
    const b = await openWorld({ ...shared, isStarted: false })
    await b.gateway.close()
    expect(b.noted).toEqual(['draining', 'stopped'])
    expect(await a.ask.request({ n: 1 })).toMatchObject({ kind: 'completed' })
  })

  it('while it is starting ends the start too', async () => {
    const held = gate()
    const { gateway, clock, ask } = await openWorld({
      ...{ isStarted: false, transportFaults: (call) => (call === 'start' ? held.opened : 'ok') },
    })
    const started = gateway.start()
    started.catch(() => {})
    const closing = watch(gateway.close())
    await clock.flush()
    expect(closing.isSettled).toBe(false)
    held.open()
    await expect(started).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await closing.promise
    await expect(ask.request({ n: 1 })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(gateway.isReady).toBe(false)
  })

  it.each(['start', 'close', 'reader.close'])(
    'a transport whose %s never settles does not hold it up for ever',
    async (call) => {
      const clock = createFakeClock()
      const { gateway } = await openWorld({
        ...{ clock, isStarted: false, options: { drainMs: 1000 }, store: memoryStore({ clock }) },
        transportFaults: (name) => (name === call ? 'hang' : 'ok'),
      })
      void gateway.start()
      await clock.flush()
      const closing = watch(gateway.close())
      await clock.advance(3100)
      expect(closing.isSettled).toBe(true)
    },
  )

  it('a part that fails to close is reported, and the others are closed all the same', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const { gateway, errors, noted } = await openWorld({
      clock,
      store,
      transportFaults: (name) => (name.endsWith('close') ? 'fail-before' : 'ok'),
    })
    await gateway.close()
    expect(errors.map(({ code }) => code)).toEqual(['ERR_TRANSPORT_UNAVAILABLE', 'ERR_TRANSPORT_UNAVAILABLE'])
    expect(noted.at(-1)).toBe('stopped')
    await expect(store.check()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  })

  it('FM-P2 a request whose record is being written is taken back, and its answer says that nothing happened', async () => {
    const clock = createFakeClock()
    const held = gate()
    const store = memoryStore({ clock })
    const { gateway, ask, requests } = await openWorld({
      clock,
      store,
      storeFaults: (call) => (call === 'create' ? held.opened : 'ok'),
    })
    await store.start()
    const reply = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    const closing = gateway.close()
    await clock.flush()
    held.open()
    expect(await reply).toMatchObject({
      kind: 'ended',
      operation: { state: 'canceled', error: { code: 'ERR_CLOSED' } },
    })
    await closing
    expect(requests).toEqual([])
  })

  it('FM-P7 nobody waits for ever for a store that hangs meanwhile', async () => {
    const clock = createFakeClock()
    let isHanging = false
    const { gateway, ask } = await openWorld({
      ...{ clock, store: memoryStore({ clock }), options: { drainMs: 0 } },
      storeFaults: (call) => (call === 'get' && isHanging ? 'hang' : 'ok'),
    })
    const reply = watch(ask.request({ n: 1 }))
    await clock.flush()
    isHanging = true
    const closing = watch(gateway.close())
    await clock.advance(1100)
    expect(closing.isSettled).toBe(true)
    expect(await reply.promise).toMatchObject({ kind: 'accepted', because: 'shutdown' })
  })

  it('FM-P11 leaves no wait, no timer and no reader', async () => {
    const { gateway, ask, clock, answer, requests } = await openWorld()
    for (let n = 0; n < 10; n += 1) void ask.request({ n })
    await clock.flush()
    await gateway.close({ drainMs: 0 })
    await clock.advance(0)
    expect(gateway.counters.pending).toBe(0)
    expect(clock.pending).toBe(0)
    await answer(requests[0])
    expect(gateway.counters).toMatchObject({ completed: 0, skipped: 0 })
  })

  it('long polls end with it, and later ones do not wait', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const { gateway, ask } = await openWorld({ clock, store })
    await store.start()
    const { operation } = await ask.request({ n: 1 }, { waitMs: 0 })
    const polled = gateway.operations.wait(operation.id, { waitMs: 25_000 })
    await clock.flush()
    await gateway.close()
    expect(await polled).toMatchObject({ state: 'running' })
    expect(await gateway.operations.wait(operation.id, { waitMs: 25_000 })).toMatchObject({ state: 'running' })
  })

  it('long polls do not hold up the drain, and requests are drained all the same', async () => {
    const { gateway, ask, clock, requests, answer } = await openWorld({ options: { waitMs: 60_000 } })
    const reply = watch(ask.request({ n: 1 }))
    await clock.flush()
    const polled = watch(gateway.operations.wait(String(requests[0]?.id), { waitMs: 25_000 }))
    await clock.flush()
    const closing = gateway.close()
    await clock.flush()
    expect([polled.isSettled, reply.isSettled]).toEqual([true, false])
    await answer(requests[0])
    expect(await reply.promise).toMatchObject({ kind: 'completed' })
    await closing
  })

  it('comes with `await using`', async () => {
    const noted: string[] = []
    {
      await using gateway = createGateway({ transport: memoryTransport() })
      gateway.on('stopped', () => noted.push('stopped'))
      await gateway.start()
    }
    expect(noted).toEqual(['stopped'])
  })
})

describe('durability', () => {
  const durable = { class: 'durable' } as const

  it.each([
    [durable, durable, durable],
    [{ class: 'process' }, durable, { class: 'process' }],
    [durable, { class: 'process' }, { class: 'process' }],
    [durable, { class: 'durable', mayLoseMs: 1000 }, { class: 'durable', mayLoseMs: 1000 }],
    [
      { class: 'durable', mayLoseMs: 2000 },
      { class: 'durable', mayLoseMs: 1000 },
      { class: 'durable', mayLoseMs: 2000 },
    ],
    [durable, { class: 'durable', mayLoseMs: 0 }, durable],
  ] as const)('a transport of %j with a store of %j is %j', (ofTransport, ofStore, expected) => {
    const transport: Transport = { ...directTransport(), durability: ofTransport }
    const store = Object.assign(memoryStore(), { durability: ofStore })
    expect(createGateway({ transport, store }).durability).toEqual(expected)
    const isProcess = createGateway({ transport }).durability
    expect(isProcess).toEqual({ class: 'process' })
  })
})

describe('the durability of a command', () => {
  const durable = { class: 'durable' } as const
  const store = () => Object.assign(memoryStore(), { durability: durable })
  const outcomes = { Done: 'succeeded' } as const
  const own: Transport = {
    ...directTransport(),
    replyAddress: ({ own }) => (own ? { durability: { class: 'process' } } : { missing: 'Set the option inbox.' }),
  }

  it.each([
    ['native', undefined, durable],
    ['spring() that replies', spring(), { class: 'process' }],
    ['spring() with an event', spring({ answers: 'event' }), durable],
    ['nest() that replies', nest(), { class: 'process' }],
    ['cloudEvents() that replies', cloudEvents(), { class: 'process' }],
  ] as const)('is that of the way of its answers: %s', (_, profile, expected) => {
    const gateway = createGateway({ transport: own, store: store() })
    const command = gateway.command({ publish: 'Ask', outcomes, ...(profile && { profile }) })
    expect(command.durability).toEqual(expected)
    expect(gateway.durability).toEqual(expected)
  })

  it('counts for its gateway, which promises no more than the weakest of them, and not for other commands', () => {
    const gateway = createGateway({ transport: own, store: store() })
    const native = gateway.command({ publish: 'Ask', outcomes })
    expect(gateway.durability).toEqual(durable)
    gateway.command({ publish: 'AskSpring', outcomes, profile: spring() })
    expect(gateway.durability).toEqual({ class: 'process' })
    expect(native.durability).toEqual(durable)
  })

  it('is that of the transport where that makes no difference between answers', () => {
    const gateway = createGateway({ transport: directTransport(), store: store() })
    expect(gateway.command({ publish: 'Ask', outcomes, profile: spring() }).durability).toEqual(durable)
  })

  it.each([
    ['spring', spring()],
    ['nest', nest()],
  ])('of a worker that would be told of no address is none: %s is refused', (_, profile) => {
    const gateway = createGateway({ transport: own, store: memoryStore(), wake: 'store' })
    expect(() => gateway.command({ publish: 'Ask', outcomes, profile })).toThrow(
      /^The requests of Ask would say no address for the answer: Set the option inbox\. .*answers: 'event'/,
    )
    // Nothing has to be said to workers that go by the type of the answer.
    for (const other of [cloudEvents(), { ...profile, answers: 'event' } as const])
      gateway.command({ publish: `Ask${other.name}`, outcomes, profile: other })
  })
})

describe('on and off', () => {
  it('add and remove listeners, and can be chained', async () => {
    const { gateway, ask, clock } = await openWorld()
    const heard: string[] = []
    const listener = () => heard.push('created')
    expect(gateway.on('created', listener).off('created', listener).on('created', listener)).toBe(gateway)
    void ask.request({ n: 1 })
    await clock.flush()
    gateway.off('created', listener)
    void ask.request({ n: 2 })
    await clock.flush()
    expect(heard).toEqual(['created'])
  })

  it('refuse what is never announced, and a listener that cannot be called', async () => {
    const { gateway } = await openWorld()
    expect(() => gateway.on('fail' as never, () => {})).toThrow(
      /listen to is "fail"; allowed is one of started, .*error/,
    )
    expect(() => gateway.on('error', 5 as never)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }))
  })

  it('report hands an error of the layer around to the listeners', async () => {
    const { gateway, errors } = await openWorld()
    const boom = new Error('boom')
    gateway.report(boom)
    expect(errors).toMatchObject([{ code: 'ERR_INTERNAL', cause: boom }])
  })
})

describe('several gateways on one broker and one store', () => {
  async function openTwo(watches = true) {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const shared = { clock, transport: memoryTransport({ clock }), store }
    if (!watches) Object.assign(store, { watch: undefined })
    return { clock, store, a: await openWorld(shared), b: await openWorld(shared) }
  }

  type Two = Awaited<ReturnType<typeof openTwo>>

  function requestsOf({ a, b }: Two) {
    return [...a.requests, ...b.requests]
  }

  it('a result reaches the one that waits, whichever of them records it', async () => {
    for (const watches of [true, false]) {
      const two = await openTwo(watches)
      const replies = Array.from({ length: 20 }, (_, n) => (n % 2 ? two.a : two.b).ask.request({ n }))
      await two.clock.flush()
      for (const request of requestsOf(two)) await two.b.answer(request)
      for (const reply of replies) expect(await reply).toMatchObject({ kind: 'completed' })
      const [ofA, ofB] = [two.a.gateway.counters, two.b.gateway.counters]
      expect(ofA.completed + ofB.completed).toBe(20)
      expect([ofA.pending, ofB.pending]).toEqual([0, 0])
      expect(two.clock.monotonic()).toBe(0)
    }
  })

  it("wake: 'store' opens no reader of its own, and whoever records wakes the one that waits", async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const transport = memoryTransport({ clock })
    const subscribed: string[] = []
    const open = () => {
      const { subscribe } = transport
      const counted = Object.assign(Object.create(transport), {
        subscribe(...[subscription, onMessage]: Parameters<typeof subscribe>) {
          subscribed.push(subscription.reading.kind)
          return transport.subscribe(subscription, onMessage)
        },
        start: () => transport.start(),
        close: () => transport.close(),
        publish: (...call: Parameters<typeof transport.publish>) => transport.publish(...call),
        check: () => transport.check(),
      })
      return openWorld({ clock, store, transport: counted, options: { wake: 'store' } })
    }
    const two = [await open(), await open()]
    expect(subscribed.filter((kind) => kind === 'own')).toEqual([])
    const replies = Array.from({ length: 20 }, (_, n) => two[n % 2]?.ask.request({ n }))
    await clock.flush()
    for (const request of two.flatMap(({ requests }) => requests)) await two[1]?.answer(request)
    for (const reply of replies) expect(await reply).toMatchObject({ kind: 'completed' })
    expect(two.map(({ gateway }) => gateway.counters.pending)).toEqual([0, 0])
    expect(clock.monotonic()).toBe(0)
  })

  it("wake: 'store' shows progress as well", async () => {
    const two = await openWorld({ store: memoryStore(), options: { wake: 'store' } })
    const { operation } = await two.ask.request({ n: 1 }, { waitMs: 0 })
    await two.answer(two.requests[0], 'Half', { data: { percent: 50 } })
    expect(await two.gateway.operations.get(operation.id)).toMatchObject({ state: 'running', progress: {} })
  })

  it('a cancellation at one of them wakes the wait at the other', async () => {
    const two = await openTwo()
    const reply = two.a.ask.request({ n: 1 })
    const polled = two.a.gateway.operations
    await two.clock.flush()
    const id = String(requestsOf(two)[0]?.id)
    const waiting = polled.wait(id)
    await two.b.gateway.operations.cancel(id)
    expect(await reply).toMatchObject({ kind: 'ended', operation: { state: 'canceled' } })
    expect(await waiting).toMatchObject({ state: 'canceled' })
    expect(two.a.gateway.counters).toMatchObject({ open: 0, completed: 0 })
    expect(two.b.gateway.counters).toMatchObject({ completed: 1 })
  })

  it('FM-C1 when the one that asked is gone, the other records the result', async () => {
    const two = await openTwo()
    const reply = two.a.ask.request({ n: 1 })
    await two.clock.flush()
    await two.a.gateway.close()
    const { operation } = await reply
    await two.b.answer(requestsOf(two)[0])
    expect(await two.b.gateway.operations.get(operation.id)).toMatchObject({ state: 'succeeded' })
    expect(two.b.gateway.counters).toMatchObject({ completed: 1, late: 0 })
  })

  it('FM-C1 also when it died without a word', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const transport = memoryTransport({ clock })
    let isDead = false
    const dead = (call: string): Fault => (isDead && call === 'deliver' ? 'fail-before' : 'ok')
    const a = await openWorld({ clock, store, transport, transportFaults: dead })
    const b = await openWorld({
      clock,
      store: faultyStore(store, () => 'ok'),
      transport: faultyTransport(transport, () => 'ok'),
    })
    void a.ask.request({ n: 1 })
    await clock.flush()
    isDead = true
    const request = [...a.requests, ...b.requests][0]
    await transport.publish(resultOf(request, clock), { channel: 'results' })
    await clock.advance(5000)
    expect(await b.gateway.operations.get(String(request?.id))).toMatchObject({ state: 'succeeded' })
  })

  it('each counts its own', async () => {
    const two = await openTwo()
    await two.a.ask.request({ n: 1 }, { waitMs: 0 })
    expect(two.a.gateway.counters).toMatchObject({ created: 1, open: 1 })
    expect(two.b.gateway.counters).toMatchObject({ created: 0, open: 0 })
  })
})
