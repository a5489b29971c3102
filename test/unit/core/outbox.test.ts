import { memoryStore } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/core/errors.js'
import type { EventMessage } from '../../../src/core/event.js'
import type { Store } from '../../../src/core/store.js'
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js'
import { directTransport, gate, openWorld, resultOf, watch } from './support.js'

const REJECTED = new GatewayError('ERR_PUBLISH_REJECTED', 'No queue.', { outcome: 'not-accepted' })
const AWAY = new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'Nobody there.', { outcome: 'not-accepted' })
const UNKNOWN = new Error('socket closed')

/** A gateway whose publishes become what the list says, one after the other, and then succeed. */
async function openScripted(script: (unknown | Promise<void>)[], init: { clock?: FakeClock; store?: Store } = {}) {
  const clock = init.clock ?? createFakeClock()
  const store = init.store ?? memoryStore({ clock })
  const transport = directTransport()
  transport.onPublish = async () => {
    const step = script.shift()
    if (step instanceof Promise) await step
    else if (step !== undefined) throw step
  }
  const world = await openWorld({ clock, store, transport })
  const ids = () => transport.published.map(({ id }) => id)
  return { ...world, store, direct: transport, ids }
}

function numbers(messages: readonly EventMessage[]): number[] {
  return messages.map(({ body }) => JSON.parse(Buffer.from(body).toString()).n)
}

describe('outbox: the first publish', () => {
  it('PEER-T1 a reply inside the publish, before its promise resolves, is the answer', async () => {
    const transport = directTransport()
    const never = new Promise<void>(() => {})
    const { ask, clock, gateway } = await openWorld({ transport })
    transport.onPublish = async (request) => {
      await transport.deliver('own', resultOf(request, clock))
      return never
    }
    expect(await ask.request({ n: 1 })).toMatchObject({ kind: 'completed', event: { data: { n: 1 } } })
    await clock.advance(1100)
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0, completed: 1, deferred: 0 })
  })

  it('a result that overtakes the confirmation counts as the confirmation', async () => {
    const held = gate()
    const { ask, clock, direct, gateway } = await openScripted([held.opened])
    const reply = ask.request({ n: 1 }, { waitMs: 0 })
    await clock.flush()
    await direct.deliver('own', resultOf(direct.published[0], clock))
    expect(await reply).toMatchObject({ kind: 'completed', operation: { published: true } })
    held.open()
    await clock.advance(7000)
    expect(direct.published).toHaveLength(1)
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0 })
  })

  it.each([
    ['rejected', REJECTED, 'No queue.'],
    ['refused as the broker is away', AWAY, 'Nobody there.'],
    ['refused for its content', new GatewayError('ERR_INVALID_INPUT', 'Too long.'), 'Too long.'],
    ['refused for its route', new GatewayError('ERR_CONFIG', 'No topic.'), 'No topic.'],
  ])('PEER-T3 C01 one that is %s ends its operation, and frees the key', async (_, error, message) => {
    const { ask, clock, gateway, ids } = await openScripted([error])
    const first = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    const joined = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    const ended = { kind: 'ended', operation: { state: 'failed', error: { code: 'ERR_PUBLISH_REJECTED', message } } }
    for (const reply of [first, joined]) expect(await reply).toMatchObject(ended)
    expect((await first).operation).toMatchObject({ published: false, request: undefined, idempotency: undefined })
    // That the broker is away is told by the breaker; everything else is a mistake of those who set it up.
    const told = error === AWAY ? 0 : 1
    expect(gateway.counters).toMatchObject({ pending: 0, open: 0, completed: 1, error: told })
    void ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.advance(7000)
    expect(ids()).toHaveLength(2)
    expect(new Set(ids()).size).toBe(2)
  })

  it('FM-A19 one that throws at once is unknown like one that rejects', async () => {
    const transport = directTransport()
    transport.onPublish = () => {
      throw UNKNOWN
    }
    const { ask, gateway, errors } = await openWorld({ transport })
    expect(await ask.request({ n: 1 })).toMatchObject({ kind: 'accepted', because: 'unconfirmed' })
    expect(errors).toMatchObject([{ code: 'ERR_PUBLISH_UNCONFIRMED', cause: UNKNOWN }])
    expect(gateway.counters).toMatchObject({ pending: 0, open: 1 })
  })

  it.each([
    ['is lost', UNKNOWN],
    ['never comes', new Promise<void>(() => {})],
  ])(
    'FM-B3 when the confirmation %s the operation goes on, and is published again under the same id',
    async (_, step) => {
      const { ask, clock, errors, ids, direct, gateway } = await openScripted([step])
      const reply = ask.request({ n: 1 }, { idempotencyKey: 'k' })
      await clock.advance(1020)
      expect(await reply).toMatchObject({ kind: 'accepted', because: 'unconfirmed', operation: { state: 'running' } })
      expect(errors).toMatchObject([{ code: 'ERR_PUBLISH_UNCONFIRMED' }])
      const { id } = (await reply).operation
      await clock.advance(6000)
      expect(ids()).toEqual([id, id])
      expect(await gateway.operations.get(id)).toMatchObject({ published: true })
      await clock.advance(60_000)
      expect(ids()).toHaveLength(2)
      await direct.deliver('shared', resultOf(direct.published[1], clock))
      expect(await gateway.operations.get(id)).toMatchObject({ state: 'succeeded' })
    },
  )

  it('FM-D4 a refusal that cannot be written down is unknown', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const complete = store.complete.bind(store)
    store.complete = () => Promise.reject(new Error('ECONNRESET'))
    const { ask, ids, gateway, errors } = await openScripted([REJECTED, REJECTED], { clock, store })
    const reply = ask.request({ n: 1 })
    await expect(reply).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'unknown' } })
    expect(errors).toMatchObject([{ code: 'ERR_PUBLISH_REJECTED' }, { code: 'ERR_STORE_UNAVAILABLE' }])
    store.complete = complete
    await clock.advance(7000)
    expect(ids()).toHaveLength(2)
    expect(await gateway.operations.get(String(ids()[0]))).toMatchObject({ state: 'failed' })
  })
})

describe('outbox: a refusal whose write is answered too late', () => {
  it('is no promise: the operation may have ended by it, and a retry begins anew', async () => {
    const clock = createFakeClock()
    // One that tells nobody of changes, or cannot at the moment.
    const store: Store = Object.assign(memoryStore({ clock }), { watch: undefined as never })
    const complete = store.complete.bind(store)
    store.complete = async (...given) => {
      await complete(...given)
      return new Promise(() => {})
    }
    const { ask, ids } = await openScripted([AWAY], { clock, store })
    const first = ask.request({ n: 1 }, { idempotencyKey: 'k' })
    const told = expect(first).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      details: { outcome: 'unknown', operationId: expect.any(String) },
    })
    await clock.advance(1100)
    await told
    store.complete = complete
    const again = await ask.request({ n: 1 }, { idempotencyKey: 'k', waitMs: 0 })
    expect(again).toMatchObject({ kind: 'accepted' })
    expect(new Set(ids()).size).toBe(2)
  })
})

describe('outbox: order per key', () => {
  function keyed(world: Awaited<ReturnType<typeof openScripted>>, ...keys: (string | undefined)[]) {
    return keys.map((key, n) => world.ask.request({ n, ...(key && { key }) }, { waitMs: 100 }))
  }

  it('FM-P10 one is published after the other, without a wait for those of other keys', async () => {
    const held = gate()
    const world = await openScripted([held.opened])
    const replies = keyed(world, 'a', 'a', 'b', undefined, 'a')
    await world.clock.flush()
    expect(numbers(world.direct.published)).toEqual([0, 2, 3])
    held.open()
    await world.clock.advance(120)
    expect(numbers(world.direct.published)).toEqual([0, 2, 3, 1, 4])
    for (const reply of replies) expect(await reply).toMatchObject({ because: 'timeout' })
    expect(world.direct.published.map(({ key }) => key)).toEqual(['a', 'b', undefined, 'a', 'a'])
  })

  it('one that is refused does not hold up its successors', async () => {
    const held = gate()
    const world = await openScripted([held.opened.then(() => Promise.reject(REJECTED))])
    const [first, second] = keyed(world, 'a', 'a')
    await world.clock.flush()
    held.open()
    await world.clock.advance(120)
    expect(await first).toMatchObject({ kind: 'ended' })
    expect(await second).toMatchObject({ kind: 'accepted', because: 'timeout' })
    expect(numbers(world.direct.published)).toEqual([0, 1])
  })

  it('FM-B12 behind one of unknown fate its successors wait for the relay, which keeps the order', async () => {
    const world = await openScripted([UNKNOWN])
    const [first] = keyed(world, 'a')
    expect(await first).toMatchObject({ because: 'unconfirmed' })
    await world.clock.advance(500)
    const [second, other] = keyed(world, 'a', 'b')
    expect(await second).toMatchObject({ because: 'unconfirmed' })
    await world.clock.advance(2000)
    expect(await other).toMatchObject({ because: 'timeout' })
    expect(world.ids()).toEqual([(await first)?.operation.id, (await other)?.operation.id])
    // The relay takes what is five seconds old: first the one, and in the next round the other.
    await world.clock.advance(5000)
    const relayed = world.ids().slice(2)
    expect(relayed).toEqual([(await first)?.operation.id, (await second)?.operation.id])
    const [third] = keyed(world, 'a')
    await world.clock.advance(120)
    expect(await third).toMatchObject({ because: 'timeout' })
  })

  it('whoever waits behind a slow publish is told in time that nothing is certain', async () => {
    const held = gate()
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const transport = directTransport()
    transport.onPublish = () => held.opened
    const { ask } = await openWorld({ clock, store, transport, options: { publishTimeoutMs: 1000 } })
    const replies = [0, 1, 2].map((n) => ask.request({ n, key: 'a' }))
    await clock.advance(900)
    const late = watch(ask.request({ n: 3, key: 'a' }))
    await clock.advance(150)
    for (const reply of replies) expect(await reply).toMatchObject({ because: 'unconfirmed' })
    // The first one is stuck by now, so that this one is known to be as well.
    expect(await late.promise).toMatchObject({ because: 'unconfirmed' })
    expect(numbers(transport.published)).toEqual([0])
  })

  it('an operation that has ended blocks its key no longer', async () => {
    const world = await openScripted([UNKNOWN])
    const [first] = keyed(world, 'a')
    await world.gateway.operations.cancel(String((await first)?.operation.id))
    await world.clock.advance(1000)
    const [second] = keyed(world, 'a')
    await world.clock.advance(120)
    expect(await second).toMatchObject({ because: 'timeout' })
  })

  it('nor does one that the relay of another instance has published', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const world = await openScripted([UNKNOWN], { clock, store })
    const [first] = keyed(world, 'a')
    await store.markPublished([String((await first)?.operation.id)])
    await clock.advance(1000)
    const [second] = keyed(world, 'a')
    await clock.advance(120)
    expect(await second).toMatchObject({ because: 'timeout' })
  })

  it('many that block keys are looked up at the same time, up to 64', async () => {
    const clock = createFakeClock()
    const inner = memoryStore({ clock })
    let isMeasured = false
    let atOnce = 0
    let most = 0
    const get = async (id: string) => {
      atOnce += isMeasured ? 1 : 0
      most = Math.max(most, atOnce)
      if (isMeasured) await new Promise<void>((resolve) => clock.setTimer(resolve, 2))
      atOnce -= isMeasured ? 1 : 0
      return inner.get(id)
    }
    const store = new Proxy<Store>(inner, {
      get(target, name) {
        if (name === 'get') return get
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const world = await openScripted([UNKNOWN], { clock, store })
    const replies = keyed(world, ...Array<string>(200).fill('a'))
    const ids = (await Promise.all(replies)).map((reply) => String(reply.operation.id))
    await inner.markPublished(ids)
    isMeasured = true
    await clock.advance(1100)
    isMeasured = false
    expect(most).toBe(64)
    const [next] = keyed(world, 'a')
    await clock.advance(120)
    expect(await next).toMatchObject({ because: 'timeout' })
  })
})

describe('outbox: the relay', () => {
  const never = new Promise<void>(() => {})

  /** A gateway that has created operations and has not got through; then its time stands still. */
  async function openGone(clock: FakeClock, requests: readonly { n: number; key?: string }[]) {
    const store = memoryStore({ clock })
    const gone = await openScripted([], { clock: createFakeClock(), store })
    gone.direct.onPublish = () => never
    for (const request of requests) {
      void gone.ask.request(request)
      await gone.clock.flush()
      await clock.advance(1)
    }
    return { gone, store }
  }

  it('FM-B1 publishes what a gateway that is gone has left behind, the oldest first, and marks it', async () => {
    const clock = createFakeClock()
    const { gone, store } = await openGone(
      clock,
      [0, 1, 2].map((n) => ({ n, key: 'a' })),
    )
    expect(gone.ids()).toHaveLength(1)
    const heir = await openScripted([], { clock, store })
    await clock.advance(7000)
    expect(numbers(heir.direct.published)).toEqual([0, 1, 2])
    expect(heir.ids()[0]).toBe(gone.ids()[0])
    for (const id of heir.ids()) expect(await store.get(id)).toMatchObject({ state: 'running', published: true })
    await clock.advance(60_000)
    expect(heir.ids()).toHaveLength(3)
  })

  it('FM-B15 two relays publish each of them once, as only one has the lease', async () => {
    const clock = createFakeClock()
    const { store } = await openGone(clock, [{ n: 1 }, { n: 2 }])
    const heirs = [await openScripted([], { clock, store }), await openScripted([], { clock, store })]
    await clock.advance(7000)
    expect(heirs.flatMap((heir) => heir.ids())).toHaveLength(2)
  })

  it('FM-B17 never publishes what has ended', async () => {
    const { ask, clock, direct, ids, gateway } = await openScripted([UNKNOWN, UNKNOWN])
    const first = await ask.request({ n: 1 })
    const second = await ask.request({ n: 2 })
    await direct.deliver('shared', resultOf(direct.published[0], clock))
    await gateway.operations.cancel(second.operation.id)
    await clock.advance(60_000)
    expect(ids().filter((id) => id === first.operation.id || id === second.operation.id)).toHaveLength(2)
  })

  it('FM-B4 tries again until the broker takes it, and ends nothing because the broker is away', async () => {
    const { ask, clock, ids, gateway, errors } = await openScripted([UNKNOWN, AWAY, AWAY])
    const { operation } = await ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.advance(7000)
    // It may have got through the first time.
    expect(await gateway.operations.get(operation.id)).toMatchObject({ state: 'running', published: false })
    expect(errors.map(({ code }) => code)).toEqual(['ERR_PUBLISH_UNCONFIRMED', 'ERR_TRANSPORT_UNAVAILABLE'])
    await clock.advance(70_000)
    expect(ids()).toEqual(Array(4).fill(operation.id))
    expect(await gateway.operations.get(operation.id)).toMatchObject({ state: 'running', published: true })
  })

  it('FM-B13 ends what the broker will never take, but keeps the key, as an earlier attempt may have got through', async () => {
    const { ask, clock, gateway, ids } = await openScripted([UNKNOWN, REJECTED])
    const { operation } = await ask.request({ n: 1 }, { idempotencyKey: 'k' })
    await clock.advance(7000)
    expect(await gateway.operations.get(operation.id)).toMatchObject({
      ...{ state: 'failed', error: { code: 'ERR_PUBLISH_UNCONFIRMED' }, idempotency: { key: expect.any(String) } },
    })
    await clock.advance(60_000)
    expect(ids()).toHaveLength(2)
  })

  it('stops a key at the first that stays unconfirmed', async () => {
    const { ask, clock, ids } = await openScripted([UNKNOWN, UNKNOWN])
    const first = await ask.request({ n: 1, key: 'a' })
    const second = await ask.request({ n: 2, key: 'a' })
    await clock.advance(7000)
    expect(ids()).toEqual([first.operation.id, first.operation.id])
    await clock.advance(70_000)
    expect(ids().slice(2)).toEqual([first.operation.id, second.operation.id])
  })

  it('leaves alone what this gateway is publishing at the moment', async () => {
    const transport = directTransport()
    transport.onPublish = () => never
    const { ask, clock } = await openWorld({ transport, options: { publishTimeoutMs: 60_000 } })
    void ask.request({ n: 1 })
    await clock.advance(40_000)
    expect(transport.published).toHaveLength(1)
  })

  it('FM-B16 takes a backlog in portions', async () => {
    const clock = createFakeClock()
    const { store } = await openGone(
      clock,
      Array.from({ length: 1200 }, (_, n) => ({ n })),
    )
    await clock.advance(5000)
    const heir = await openScripted([], { clock, store })
    const portions: number[] = []
    for (let second = 0; second < 5; second += 1) {
      const before = heir.ids().length
      await clock.advance(1000)
      portions.push(heir.ids().length - before)
    }
    expect(portions.filter((portion) => portion > 0)).toEqual([500, 500, 200])
  })
})

describe('outbox: marks', () => {
  async function openCounting(storeFaults: (call: string) => 'ok' | 'fail-before' = () => 'ok') {
    const clock = createFakeClock()
    const marks: (readonly string[])[] = []
    const store = memoryStore({ clock })
    const mark = store.markPublished.bind(store)
    store.markPublished = (ids, token) => {
      marks.push(ids)
      return storeFaults('mark') === 'ok' ? mark(ids, token) : Promise.reject(new Error('ECONNRESET'))
    }
    return { ...(await openWorld({ clock, store })), marks, store }
  }

  it('notes in one write what runs on a second after its confirmation', async () => {
    const { ask, clock, marks, requests, answer } = await openCounting()
    for (let n = 0; n < 3; n += 1) void ask.request({ n })
    await clock.flush()
    await answer(requests[0])
    await clock.advance(3000)
    expect(marks).toEqual([[requests[1]?.id, requests[2]?.id]])
  })

  it('what ends sooner costs no write at all', async () => {
    const { ask, clock, marks, requests, answer } = await openCounting()
    void ask.request({ n: 1 })
    await clock.flush()
    await answer(requests[0])
    await clock.advance(10_000)
    expect(marks).toEqual([])
  })

  it('FM-B2 what could not be noted is tried again, and not published again', async () => {
    let faults = 2
    const { ask, clock, marks, requests, errors, gateway } = await openCounting(() =>
      faults-- > 0 ? 'fail-before' : 'ok',
    )
    void ask.request({ n: 1 })
    await clock.advance(20_000)
    expect(marks.length).toBe(3)
    expect(errors).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }, { code: 'ERR_STORE_UNAVAILABLE' }])
    expect(requests).toHaveLength(1)
    expect(await gateway.operations.get(String(requests[0]?.id))).toMatchObject({ published: true })
  })

  it('close notes the rest', async () => {
    const { ask, clock, marks, requests, gateway } = await openCounting()
    void ask.request({ n: 1 })
    await clock.flush()
    await gateway.close()
    expect(marks).toEqual([[requests[0]?.id]])
  })

  it('close waits for publishes that are under way, and notes them', async () => {
    const held = gate()
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const transport = directTransport()
    transport.onPublish = () => held.opened
    const { ask, gateway } = await openWorld({ clock, store, transport })
    // Still open for the test when the gateway is closed.
    await store.start()
    const reply = ask.request({ n: 1 })
    await clock.flush()
    const closing = watch(gateway.close())
    expect(await reply).toMatchObject({ kind: 'accepted', because: 'shutdown' })
    await clock.flush()
    expect(closing.isSettled).toBe(false)
    held.open()
    await closing.promise
    expect(await store.get((await reply).operation.id)).toMatchObject({ state: 'running', published: true })
  })
})
