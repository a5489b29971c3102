import { memoryStore, memoryTransport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { directTransport, gate, openWorld, resultOf, watch } from './support.js'

/** Two gateways on one broker and one store, each with the same command. */
async function openTwo() {
  const clock = createFakeClock()
  const shared = { clock, transport: memoryTransport({ clock }), store: memoryStore({ clock }) }
  return { clock, a: await openWorld(shared), b: await openWorld(shared) }
}

describe('request: idempotency', () => {
  it('FM-E2 PEER-T18 a repeated request waits for the first one, and nothing is published twice', async () => {
    const { ask, clock, gateway, requests, answer, noted } = await openWorld()
    const first = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    const second = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    expect(gateway.counters).toMatchObject({ pending: 2, open: 1, created: 1, joined: 1 })
    await answer(requests[0])
    expect(requests).toHaveLength(1)
    const [one, two] = await Promise.all([first, second])
    expect(one).toMatchObject({ kind: 'completed' })
    expect(two.operation).toBe(one.operation)
    // It has not been answered before, so this is no replay.
    expect(two).not.toHaveProperty('replayed')
    expect(noted).toContain('joined')
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })

  it('FM-A15 so does one that comes to another instance', async () => {
    const { clock, a, b } = await openTwo()
    const first = a.ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    const second = b.ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    const requests = [...a.requests, ...b.requests]
    expect(requests).toHaveLength(1)
    await a.answer(requests[0])
    expect((await second).operation.id).toBe((await first).operation.id)
    expect(await second).toMatchObject({ kind: 'completed', event: { data: { n: 1 } } })
  })

  it('FM-D17 of 50 at once on two instances one is created', async () => {
    const { clock, a, b } = await openTwo()
    const replies = Array.from({ length: 50 }, (_, n) =>
      (n % 2 ? a : b).ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 }),
    )
    await clock.advance(1100)
    expect(new Set((await Promise.all(replies)).map(({ operation }) => operation.id)).size).toBe(1)
    expect(a.requests.length + b.requests.length).toBe(1)
    expect(a.gateway.counters.joined + b.gateway.counters.joined).toBe(49)
  })

  it('H09 after the end it is answered as the first one was, marked as a replay', async () => {
    const { ask, requests } = await openWorld({ worker: (request, world) => world.answer(request, 'NotDone') })
    const first = await ask.request({ n: 1 }, { idempotencyKey: 'k' })
    expect(await ask.request({ n: 1 }, { idempotencyKey: 'k' })).toMatchObject({
      ...first,
      event: { type: 'NotDone' },
      replayed: true,
    })
    expect(requests).toHaveLength(1)
  })

  it('an end without an event is replayed alike', async () => {
    const { ask, clock, gateway, requests } = await openWorld()
    void ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    await gateway.operations.cancel(String(requests[0]?.id))
    expect(await ask.request({ n: 1 }, { idempotencyKey: 'k' })).toMatchObject({ kind: 'ended', replayed: true })
  })

  it('FM-E3 another payload under the same key is refused', async () => {
    const { ask, gateway, requests, clock } = await openWorld()
    void ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await expect(ask.request({ n: 2 }, { idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'ERR_IDEMPOTENCY_MISMATCH',
    })
    await clock.flush()
    expect(requests).toHaveLength(1)
    expect(gateway.counters).toMatchObject({ pending: 1, open: 1 })
  })

  it('FM-E4 FM-H25 the key of another caller is another key', async () => {
    const { ask, clock, requests } = await openWorld()
    for (const principal of ['ada', 'bob', undefined]) void ask.request({ n: 1 }, { idempotencyKey: 'k', principal })
    // Nobody can name a caller so that his key looks like the key of another one.
    void ask.request({ n: 1 }, { idempotencyKey: '"k"', principal: 'null' })
    await clock.flush()
    expect(requests).toHaveLength(4)
  })

  it('H08 a command may refuse a repeated request while the first one runs', async () => {
    const { ask, clock, requests, answer, gateway } = await openWorld({ command: { onConcurrent: 'conflict' } })
    void ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    const refused = { code: 'ERR_IDEMPOTENCY_IN_USE', details: { operationId: requests[0]?.id } }
    await expect(ask.request({ n: 1 }, { idempotencyKey: 'k' })).rejects.toMatchObject(refused)
    await answer(requests[0])
    expect(await ask.request({ n: 1 }, { idempotencyKey: 'k' })).toMatchObject({ kind: 'completed', replayed: true })
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })

  it('FM-D12 the key lives as long as the operation, and then the request is a new one', async () => {
    const { ask, clock, requests } = await openWorld({
      ...{ options: { retentionMs: 5000 }, worker: (request, world) => world.answer(request) },
    })
    const first = await ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.advance(4900)
    expect((await ask.request({ n: 1 }, { idempotencyKey: 'k' })).operation.id).toBe(first.operation.id)
    await clock.advance(200)
    expect((await ask.request({ n: 1 }, { idempotencyKey: 'k' })).operation.id).not.toBe(first.operation.id)
    expect(requests).toHaveLength(2)
  })

  it('each one that joined waits as it prefers, and one that leaves does not disturb the others', async () => {
    const { ask, clock, requests, answer } = await openWorld()
    const controller = new AbortController()
    const options = { idempotencyKey: 'k' }
    const first = watch(ask.request({ n: 1 }, { ...options, waitMs: 100 }))
    const left = ask.request({ n: 1 }, { ...options, signal: controller.signal }).catch((reason: unknown) => reason)
    const second = watch(ask.request({ n: 1 }, { ...options, waitMs: 1000 }))
    await clock.advance(120)
    expect(await first.promise).toMatchObject({ kind: 'accepted', because: 'timeout' })
    controller.abort('left')
    expect(await left).toBe('left')
    expect(second.isSettled).toBe(false)
    await answer(requests[0])
    expect(await second.promise).toMatchObject({ kind: 'completed' })
  })
})

describe('request: one that joined hears no "accepted" before the confirmation', () => {
  async function openHeld() {
    const confirmation = gate()
    const transport = directTransport()
    transport.onPublish = () => confirmation.opened
    const world = await openWorld({ transport })
    return { ...world, confirmation, transport }
  }

  it('while the publish of the first is under way', async () => {
    const { ask, clock, confirmation } = await openHeld()
    const first = watch(ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 }))
    const second = watch(ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 }))
    await clock.advance(500)
    expect([first.isSettled, second.isSettled]).toEqual([false, false])
    confirmation.open()
    await clock.flush()
    for (const { promise } of [first, second])
      expect(await promise).toMatchObject({ kind: 'accepted', because: 'preference' })
  })

  it('FM-B3 and when nobody knows, it hears that', async () => {
    const { ask, clock } = await openHeld()
    const first = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    const second = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.advance(1020)
    for (const reply of [first, second]) expect(await reply).toMatchObject({ kind: 'accepted', because: 'unconfirmed' })
  })

  it('also when the caller of the first has left', async () => {
    const { ask, clock, confirmation } = await openHeld()
    const controller = new AbortController()
    ask.request({ n: 1 }, { idempotencyKey: 'k', signal: controller.signal }).catch(() => {})
    await clock.flush()
    controller.abort()
    const second = watch(ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 }))
    await clock.flush()
    expect(second.isSettled).toBe(false)
    confirmation.open()
    await clock.flush()
    expect(second.isSettled).toBe(true)
  })

  it('also when the store has not yet told the first that it is the first', async () => {
    const clock = createFakeClock()
    const told = gate()
    let calls = 0
    const store = memoryStore({ clock })
    const create = store.create.bind(store)
    store.create = async (operation) => {
      const isFirst = calls++ === 0
      const created = await create(operation)
      if (isFirst) await told.opened
      return created
    }
    const refused = { code: 'ERR_PUBLISH_REJECTED' }
    const world = await openWorld({
      clock,
      store,
      transport: memoryTransport({ clock }),
      transportFaults: (call) => (call === 'publish' ? 'fail-before' : 'ok'),
    })
    const first = world.ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 })
    const second = watch(world.ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 }))
    await clock.flush()
    expect(second.isSettled).toBe(false)
    told.open()
    await clock.flush()
    expect(await first).toMatchObject({ kind: 'ended', operation: { error: refused } })
    expect(await second.promise).toMatchObject({ kind: 'ended', operation: { error: refused } })
  })

  it('FM-A20 when the first is taken back, it becomes the first itself', async () => {
    const clock = createFakeClock()
    const told = gate()
    const store = memoryStore({ clock })
    const create = store.create.bind(store)
    let calls = 0
    store.create = async (operation) => {
      const isFirst = calls++ === 0
      const created = await create(operation)
      if (isFirst) await told.opened
      return created
    }
    const { ask, requests, answer, gateway } = await openWorld({ clock, store })
    const controller = new AbortController()
    const first = ask
      .request({ n: 1 }, { idempotencyKey: 'k', signal: controller.signal })
      .catch((reason: unknown) => reason)
    const second = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    controller.abort('left')
    told.open()
    expect(await first).toBe('left')
    await clock.flush()
    expect(requests).toHaveLength(1)
    await answer(requests[0])
    expect(await second).toMatchObject({ kind: 'completed', operation: { id: requests[0]?.id } })
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0, created: 2, joined: 1 })
  })

  it('FM-A20 while the first is being taken back, nobody is told that it goes on', async () => {
    const clock = createFakeClock()
    const [held, told] = [gate(), gate()]
    let isFirst = true
    const storeFaults = (call: string) => {
      if (call === 'create' && isFirst) return held.opened
      return call === 'complete' && isFirst ? told.opened : 'ok'
    }
    const { ask, requests } = await openWorld({ clock, store: memoryStore({ clock }), storeFaults })
    const controller = new AbortController()
    const key = { idempotencyKey: 'k' }
    const first = ask.request({ n: 1 }, { ...key, signal: controller.signal }).catch((reason: unknown) => reason)
    await clock.flush()
    controller.abort('left')
    held.open()
    await clock.flush()
    const second = watch(ask.request({ n: 1 }, { ...key, waitMs: 0 }))
    await clock.flush()
    expect(second.isSettled).toBe(false)
    isFirst = false
    told.open()
    expect(await first).toBe('left')
    expect(await second.promise).toMatchObject({ kind: 'accepted', because: 'preference' })
    await clock.flush()
    expect(requests.map(({ id }) => id)).toEqual([(await second.promise).operation.id])
  })

  it.each([
    ['the gateway', { maxOpen: 1 }, {}],
    ['the principal', { maxPerPrincipal: 1 }, {}],
    ['the command', {}, { maxOpen: 1 }],
  ])('H11 at the limit of %s a retry joins, and an ended one is replayed', async (_, options, command) => {
    const { ask, clock, requests, answer, gateway } = await openWorld({ options, command })
    const key = { idempotencyKey: 'k', principal: 'ann' }
    const first = ask.request({ n: 1 }, key)
    await clock.flush()
    const second = ask.request({ n: 1 }, key)
    await clock.flush()
    await answer(requests[0])
    expect((await second).operation).toBe((await first).operation)
    const other = ask.request({ n: 2 }, { principal: 'ann' })
    await clock.flush()
    expect(await ask.request({ n: 1 }, key)).toMatchObject({ kind: 'completed', replayed: true })
    await expect(ask.request({ n: 3 }, { principal: 'ann', idempotencyKey: 'other' })).rejects.toThrow('limit')
    expect(gateway.counters).toMatchObject({ shed: 1, open: 1 })
    await answer(requests[1])
    await other
  })

  it('FM-D4 when the first cannot be taken back, the relay publishes it, and both hear that nothing is certain', async () => {
    const clock = createFakeClock()
    const held = gate()
    let isDown = true
    const store = memoryStore({ clock })
    const storeFaults = (call: string) => {
      if (call === 'create') return held.opened
      return call === 'complete' && isDown ? 'fail-before' : 'ok'
    }
    const { ask, requests, errors } = await openWorld({ clock, store, storeFaults })
    const controller = new AbortController()
    const first = ask
      .request({ n: 1 }, { idempotencyKey: 'k', signal: controller.signal })
      .catch((reason: unknown) => reason)
    await clock.flush()
    const second = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    controller.abort('left')
    held.open()
    expect(await first).toBe('left')
    expect(await second).toMatchObject({ kind: 'accepted', because: 'unconfirmed' })
    expect(errors).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
    isDown = false
    await clock.advance(7000)
    expect(requests.map(({ id }) => id)).toEqual([(await second).operation.id])
  })

  it('on another instance it hears it once the publish must have been confirmed, or is marked as such', async () => {
    const { clock, a, b } = await openTwo()
    void a.ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.advance(100)
    const second = watch(b.ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 }))
    await clock.advance(880)
    expect(second.isSettled).toBe(false)
    await clock.advance(50)
    expect(await second.promise).toMatchObject({ kind: 'accepted', because: 'preference' })
    // By now it is marked, or old enough.
    expect(await b.ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 })).toMatchObject({ kind: 'accepted' })
  })

  it.each([
    ['an hour ahead', 3_600_000],
    ['an hour behind', -3_600_000],
  ])('FM-D13 with the clock of the store %s it hears it in time all the same', async (_, skew) => {
    const storeClock = createFakeClock()
    const store = memoryStore({ clock: storeClock })
    const clock = createFakeClock()
    const transport = memoryTransport({ clock })
    const [a, b] = [await openWorld({ clock, store, transport }), await openWorld({ clock, store, transport })]
    storeClock.shift(skew)
    void a.ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    const second = b.ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 })
    await clock.advance(1020)
    expect(await second).toMatchObject({ kind: 'accepted', because: 'preference' })
  })

  it('a result meanwhile is a result', async () => {
    const { ask, clock, transport } = await openHeld()
    const first = ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 })
    const second = ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 })
    await clock.flush()
    await transport.deliver('own', resultOf(transport.published[0], clock))
    for (const reply of [first, second]) expect(await reply).toMatchObject({ kind: 'completed' })
  })

  it('H11 an end that comes while it registers is not missed', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const get = store.get.bind(store)
    const world = await openWorld({ clock, store })
    void world.ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    const [request] = world.requests
    store.get = async (id) => {
      const ending = { state: 'succeeded', result: resultOf(request, clock), command: 'Ask' } as const
      await store.complete(id, ending)
      return get(id)
    }
    expect(await world.ask.request({ n: 1 }, { idempotencyKey: 'k' })).toMatchObject({ kind: 'completed' })
  })

  it('FM-D19 one that joins an operation which is deleted meanwhile waits on', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const world = await openWorld({ clock, store })
    void world.ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.flush()
    store.get = async () => undefined
    const second = world.ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 100 })
    await clock.advance(120)
    expect(await second).toMatchObject({ kind: 'accepted', because: 'timeout' })
  })
})
