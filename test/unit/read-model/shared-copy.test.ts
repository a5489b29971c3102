import { memoryStore, memoryTransport, type Store } from 'respond-async'
import { createReadModel, type ReadModelOptions } from 'respond-async/read-model'
import { afterEach, describe, expect, it } from 'vitest'
import type { Transport } from '../../../src/core/transport.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { type FaultPlan, faultyStore } from '../../../src/testing/faulty.js'
import { watch } from '../core/support.js'
import { type Events, eventOf, numbered, publish, type User, usersProjection } from './support.js'

const clock = createFakeClock()
const ends: (() => Promise<unknown>)[] = []
const PREFIX = 'read-model/users/1/'

afterEach(async () => {
  // A store that is silent to an instance is waited for.
  const ended = Promise.all(ends.splice(0).map((end) => end()))
  await clock.advance(20_000)
  await ended
})

async function open({ maxLog = 1000 } = {}) {
  const transport = memoryTransport({ clock, maxLog })
  const store: Store = memoryStore({ clock })
  await transport.start()
  await store.start()
  ends.push(() => transport.close())
  /** The store of one instance, whose calls for records with keys that start so may go wrong. */
  const storeWith = (fault: (call: string, key: string) => ReturnType<FaultPlan>) =>
    faultyStore(store, (call, [first]) => {
      if (!call.startsWith('records.')) return 'ok'
      const key = typeof first === 'string' ? first : (first as { key: string }).key
      return fault(call.slice('records.'.length), key.slice(PREFIX.length))
    })
  const model = (more: Partial<ReadModelOptions<User>> = {}) => {
    const options = { transport, store, projection: usersProjection(), copy: 'shared', clock, ...more } as const
    const made = createReadModel<User>(options)
    const errors: string[] = []
    made.on('error', ({ code }) => errors.push(code))
    ends.push(() => made.close())
    return Object.assign(made, { errors })
  }
  /** One that can be killed: nothing that it asks of the store is done any more. */
  const mortal = (more: Partial<ReadModelOptions<User>> = {}) => {
    let isDead = false
    const made = model({ store: storeWith(() => (isDead ? 'hang' : 'ok')), ...more })
    const kill = () => {
      isDead = true
    }
    return Object.assign(made, { kill })
  }
  const say = async <Type extends keyof Events>(type: Type, data: Events[Type], more = {}) => {
    const message = eventOf(type, data, { clock, ...more })
    await publish(transport, message)
    await clock.flush()
    return message
  }
  /** Renames a user so many times, by numbers from `first` on. */
  const rename = async (id: string, first: number, count: number) => {
    for (let n = first; n < first + count; n += 1) await say('Renamed', { id, name: `${n}` })
  }
  return { transport, store, storeWith, model, mortal, say, rename }
}

/** Starts instances, which takes a second of those that stand by. */
async function start(...models: readonly { start(): Promise<void> }[]): Promise<void> {
  for (const model of models) {
    const starting = model.start()
    await clock.advance(2000)
    await starting
  }
}

const named = (first: string, count: number) => [first, ...Array.from({ length: count }, (_, n) => `${n + 1}`)]

/** The calls of a transport, so that one of them can be replaced. */
function bind(transport: Transport): Transport {
  const { name, durability } = transport
  return {
    ...{ name, durability },
    start: (listener) => transport.start(listener),
    close: () => transport.close(),
    check: () => transport.check(),
    publish: (message, options) => transport.publish(message, options),
    subscribe: (subscription, onMessage) => transport.subscribe(subscription, onMessage),
  }
}

describe('a read model with a shared copy', () => {
  it('has what had happened, whichever instance reads it, and what happens then', async () => {
    const { model, say } = await open()
    await say('Created', { id: 'a', name: 'Ada' })
    const instances = [model(), model(), model()]
    const starting = Promise.all(instances.map((one) => one.start()))
    await clock.advance(3000)
    await starting
    for (const name of ['x', 'y', 'z']) await say('Renamed', { id: 'a', name })
    for (const one of instances) {
      expect(one.status).toMatchObject({ isReady: true, size: undefined })
      expect((await one.get('a'))?.state.names).toEqual(['Ada', 'x', 'y', 'z'])
    }
    await say('Deleted', { id: 'a' })
    for (const one of instances) expect(await one.get('a')).toBeUndefined()
  })

  it('is ready only when what happened while no instance ran is in it', async () => {
    const { storeWith, model, say, rename } = await open()
    const first = model()
    await start(first)
    await say('Created', { id: 'a', name: 'Ada' })
    await first.close()
    await rename('a', 1, 100)
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let isHeld = true
    const second = model({
      store: storeWith((call, key) => (isHeld && call === 'put' && key.startsWith('row/') ? held : 'ok')),
      storeTimeoutMs: 60_000,
    })
    const third = model()
    const starting = watch(second.start())
    const other = watch(third.start())
    await clock.advance(5000)
    expect([starting.isSettled, second.status.isReady, other.isSettled, third.status.isReady]).toEqual(
      Array(4).fill(false),
    )
    isHeld = false
    release()
    await clock.advance(2000)
    await Promise.all([starting.promise, other.promise])
    for (const one of [second, third]) expect((await one.get('a'))?.state.names).toEqual(named('Ada', 100))
  })

  it('has every event once that happens while it is loaded', async () => {
    const { transport, model } = await open()
    async function* load() {
      for (const name of ['1', '2', '3'])
        await publish(transport, eventOf(name === '1' ? 'Created' : 'Renamed', { id: 'a', name }, { clock }))
      yield { key: 'b', state: { id: 'b', name: 'Bob', names: ['Bob'] } }
    }
    const users = model({ load })
    await start(users)
    expect((await users.get('a'))?.state.names).toEqual(['1', '2', '3'])
    expect((await users.get('b'))?.state.names).toEqual(['Bob'])
  })

  it.each(['state', 'row/', 'any'])('has every event once when its build is broken off: %s', async (where) => {
    const { model, say, rename, storeWith, store } = await open()
    const load = () => [{ key: 'a', state: { id: 'a', name: 'Ada', names: ['Ada'] } }]
    await rename('a', 1, 100)
    for (let writes = 0, isDone = false; !isDone; writes += 1) {
      let left = writes
      const dying = storeWith((call, key) => {
        if (call !== 'put' || !(key.startsWith(where) || where === 'any')) return 'ok'
        left -= 1
        return left >= 0 ? 'ok' : writes % 2 === 0 ? 'hang' : 'hang-after'
      })
      const users = model({ load, store: dying })
      const starting = watch(users.start())
      await clock.advance(30_000)
      isDone = left >= 0 || starting.isSettled
      if (writes > 20) isDone = true
    }
    const users = model({ load })
    const starting = users.start()
    await clock.advance(30_000)
    await starting
    expect((await users.get('a'))?.state.names).toEqual(named('Ada', 100))
    await say('Renamed', { id: 'a', name: 'end' })
    expect((await users.get('a'))?.state.names).toEqual([...named('Ada', 100), 'end'])
    await store.check()
  })

  it('folds the events of a key in order, however long it takes to read each', async () => {
    const { transport, model } = await open()
    const validate = async (value: unknown) => {
      const { name } = value as { name: string }
      await new Promise<void>((resolve) => void clock.setTimer(resolve, name === '1' ? 100 : 1))
      return { value }
    }
    const schema = { '~standard': { version: 1, vendor: 'test', validate } } as const
    const users = model({
      projection: usersProjection({ events: { Created: schema, Renamed: schema, Deleted: schema } }),
    })
    await start(users)
    await publish(
      transport,
      ...named('Ada', 4).map((name) => eventOf(name === 'Ada' ? 'Created' : 'Renamed', { id: 'a', name }, { clock })),
    )
    await clock.advance(1000)
    expect((await users.get('a'))?.state.names).toEqual(named('Ada', 4))
  })

  it('is not ready while its reader has ended, and misses nothing that comes meanwhile', async () => {
    const { transport, model, say } = await open()
    let end = (_reason: unknown): void => {}
    let isAway = false
    const subscribe: Transport['subscribe'] = async (subscription, onMessage) => {
      if (isAway) throw new Error('The queue is gone.')
      const reader = await transport.subscribe(subscription, onMessage)
      const ended = new Promise((resolve) => {
        end = (reason) => void reader.close().then(() => resolve(reason))
      })
      return { ...reader, ended }
    }
    const away = { ...bind(transport), subscribe }
    const users = model({ transport: away })
    const other = model({ transport: away })
    await start(users, other)
    isAway = true
    end(new Error('of no use any more'))
    await clock.flush()
    await say('Created', { id: 'a', name: 'Ada' })
    await clock.advance(600)
    expect([users.status.isReady, users.errors, other.status.isReady]).toEqual([false, ['ERR_NOT_CAUGHT_UP'], false])
    await clock.advance(3000)
    expect([users.errors.at(-1), other.errors.at(-1)]).toEqual(['ERR_INTERNAL', 'ERR_INTERNAL'])
    isAway = false
    await clock.advance(4000)
    expect([users.status.isReady, other.status.isReady]).toEqual([true, true])
    expect((await users.get('a'))?.state.name).toBe('Ada')
  })

  it('an event is in the store once, also when the answer to its write was lost', async () => {
    const { storeWith, model, say } = await open()
    let failures = 3
    const flaky = storeWith((call, key) => {
      if (call !== 'put' || !key.startsWith('row/') || failures === 0) return 'ok'
      failures -= 1
      return failures === 1 ? 'fail-after' : 'fail-before'
    })
    const users = model({ store: flaky })
    await start(users)
    await say('Created', { id: 'a', name: 'Ada' })
    await clock.advance(1000)
    // The last write was made, although its answer was lost.
    expect([failures, (await users.get('a'))?.state.names]).toEqual([1, ['Ada']])
  })

  it('FM-G9 orders events by their numbers', async () => {
    const { model, transport } = await open()
    const instances = [model({ projection: numbered() }), model({ projection: numbered() })]
    await start(...instances)
    const created = eventOf('Created', { id: 'a', name: '1', n: 1 }, { clock })
    const renamed = Array.from({ length: 40 }, (_, index) =>
      eventOf('Renamed', { id: 'a', name: `${index + 2}`, n: index + 2 }, { clock }),
    )
    await publish(transport, ...renamed, created, ...renamed)
    await clock.advance(5000)
    expect((await instances[1]?.get('a'))?.state.names).toEqual(named('1', 41).slice(1))
  })

  it('FM-G10 puts aside what cannot be folded, and goes on; those who stand by know of it', async () => {
    const { model, say, store } = await open()
    const [users, other] = [model(), model()]
    await start(users, other)
    const { id } = await say('Renamed', { id: 'b', name: 'nobody to rename' })
    const { id: garbage } = await say('Created', {} as never, { body: Buffer.from('{') })
    await say('Created', { id: 'a', name: 'Ada' }, { time: clock.now() - 50 })
    await clock.advance(2000)
    const parked = await store.records.list(`${PREFIX}parked/`)
    expect(parked.map(({ key }) => key.slice(`${PREFIX}parked/`.length)).sort()).toEqual([id, garbage].sort())
    expect([users.status, other.status]).toEqual(Array(2).fill(expect.objectContaining({ parked: 2, lagMs: 50 })))
    expect((await other.get('a'))?.state.name).toBe('Ada')
  })

  it('FM-G10 what cannot be folded is put aside also when its reader is killed at that moment', async () => {
    const { model, mortal, say, store } = await open()
    const [users, other] = [mortal(), model()]
    const found: string[] = []
    users.on('parked', ({ message }) => {
      found.push(message.id)
      users.kill()
    })
    await start(users, other)
    const { id } = await say('Renamed', { id: 'b', name: 'nobody to rename' })
    await clock.advance(15_000)
    expect(found).toEqual([id])
    expect(await store.records.list(`${PREFIX}parked/`)).toHaveLength(1)
    expect(other.status).toMatchObject({ isReady: true, parked: 1 })
  })

  it('refuses to start when the past cannot be read, and the next one tries again', async () => {
    const { model, say } = await open({ maxLog: 1 })
    await say('Created', { id: 'a', name: 'Ada' })
    await say('Created', { id: 'b', name: 'Bob' })
    await expect(model().start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
    const load = () => [{ key: 'a', state: { id: 'a', name: 'Ada', names: ['Ada'] }, time: clock.now() }]
    const users = model({ load })
    await start(users)
    await say('Renamed', { id: 'a', name: 'x' }, { time: clock.now() + 1 })
    expect((await users.get('a'))?.state.names).toEqual(['Ada', 'x'])
  })

  it('is made anew where the log no longer reaches back to it, else refused', async () => {
    const { model, say, rename, store } = await open({ maxLog: 5 })
    const first = model()
    await start(first)
    await say('Created', { id: 'gone', name: 'Gone' })
    await say('Created', { id: 'a', name: 'Ada' })
    await first.close()
    await rename('a', 1, 10)
    await expect(model().start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
    const load = () => [{ key: 'a', state: { id: 'a', name: '10', names: named('Ada', 10) }, time: clock.now() }]
    const users = model({ load })
    await start(users)
    await say('Renamed', { id: 'a', name: 'end' }, { time: clock.now() + 1 })
    expect((await users.get('a'))?.state.names).toEqual([...named('Ada', 10), 'end'])
    expect(await users.get('gone')).toBeUndefined()
    await clock.advance(2000)
    expect(await store.records.list(`${PREFIX}row/`)).toHaveLength(1)
  })

  it('refuses to begin anew with another log, and keeps the rows of the one that was', async () => {
    const { model, say, store } = await open()
    const first = model()
    await start(first)
    await say('Created', { id: 'a', name: 'Ada' })
    await clock.advance(2000)
    await first.close()
    const other = memoryTransport({ clock })
    await other.start()
    for (const id of ['b', 'c'])
      await other.publish(eventOf('Created', { id, name: id }, { clock }), { channel: 'results' })
    for (let count = 0; count < 2; count += 1) {
      const refused = model({ transport: other })
      await expect(refused.start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
      await refused.close()
    }
    expect(await store.records.list(`${PREFIX}row/`)).toHaveLength(1)
    const load = () => [{ key: 'a', state: { id: 'a', name: 'Ada', names: ['Ada'] } }]
    const loaded = model({ transport: other, load })
    await start(loaded)
    for (const id of ['a', 'b', 'c']) expect(await loaded.get(id)).toBeDefined()
    await loaded.close()
    await other.close()
  })

  it('is not ready, and says why, when it finds a gap while it runs', async () => {
    const { transport, model, say, rename } = await open({ maxLog: 5 })
    let end = (_reason: unknown): void => {}
    const subscribe: Transport['subscribe'] = async (subscription, onMessage) => {
      const reader = await transport.subscribe(subscription, onMessage)
      const ended = new Promise((resolve) => {
        end = (reason) => void reader.close().then(() => resolve(reason))
      })
      return { ...reader, ended }
    }
    const [users, other] = [model({ transport: { ...bind(transport), subscribe } }), model()]
    await start(users, other)
    await say('Created', { id: 'a', name: 'Ada' })
    end(new Error('of no use any more'))
    await rename('a', 1, 10)
    await clock.advance(5000)
    expect([users.status.isReady, other.status.isReady]).toEqual([false, false])
    expect([...users.errors, ...other.errors]).toContain('ERR_NOT_REBUILDABLE')
    await expect(model().start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
  })

  it('reads a log that is compacted by its keys, and refuses one where events of different states replace each other', async () => {
    const { transport, model, say } = await open()
    const subscribe: Transport['subscribe'] = async (subscription, onMessage) => {
      return { ...(await transport.subscribe(subscription, onMessage)), log: { isCompacted: true } }
    }
    await say('Created', { id: 'a', name: 'Ada' }, { key: 'a' })
    const users = model({ transport: { ...bind(transport), subscribe } })
    await start(users)
    expect((await users.get('a'))?.state.name).toBe('Ada')
    await users.close()
    await say('Created', { id: 'b', name: 'Bob' }, { key: 'tenant' })
    const next = model({ transport: { ...bind(transport), subscribe } })
    const refused = { code: 'ERR_NOT_REBUILDABLE', message: expect.stringContaining('compacted') }
    await expect(next.start()).rejects.toMatchObject(refused)
    await expect(model({ transport: { ...bind(transport), subscribe } }).start()).rejects.toMatchObject(refused)
  })

  it('answers in time when the store has gone silent, and at once when it is known to be down', async () => {
    const { storeWith, model } = await open()
    let isSilent = false
    const users = model({ store: storeWith((call) => (isSilent && call === 'get' ? 'hang' : 'ok')) })
    await start(users)
    isSilent = true
    for (let count = 0; count < 5; count += 1) {
      const reading = users.get('a').catch((error: unknown) => error)
      await clock.advance(1100)
      expect(await reading).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    }
    expect(users.status.isReady).toBe(false)
    await expect(users.get('a')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  })

  it('tells when an event is in it, also when another instance has folded it', async () => {
    const { model, transport } = await open()
    const [users, other] = [model(), model()]
    await start(users, other)
    const created = eventOf('Created', { id: 'a', name: 'Ada' }, { clock })
    const waiting = watch(other.whenAt(created))
    await clock.advance(100)
    expect(waiting.isSettled).toBe(false)
    await publish(transport, created)
    await clock.advance(100)
    expect(await waiting.promise).toBe(true)
  })
})

describe('the keeper of a shared copy', () => {
  it('makes room for another one when it is closed, without a moment in which the copy is not ready', async () => {
    const { model, say, rename } = await open()
    const [users, other] = [model(), model()]
    await start(users, other)
    await say('Created', { id: 'a', name: 'Ada' })
    await users.close()
    await rename('a', 1, 5)
    for (let step = 0; step < 30; step += 1) {
      expect(other.status.isReady).toBe(true)
      await clock.advance(50)
    }
    expect((await other.get('a'))?.state.names).toEqual(named('Ada', 5))
    await start(model())
  })

  it('has a successor when it was killed, who folds nothing twice, and misses nothing', async () => {
    const { model, mortal, say, rename } = await open()
    const [users, other] = [mortal(), model()]
    await start(users, other)
    await say('Created', { id: 'a', name: 'Ada' })
    await clock.advance(1000)
    await rename('a', 1, 100)
    users.kill()
    await rename('a', 101, 50)
    await clock.advance(9000)
    expect((await other.get('a'))?.state.names).toHaveLength(101)
    await clock.advance(3000)
    expect((await other.get('a'))?.state.names).toEqual(named('Ada', 150))
    expect([users.status.isReady, other.status.isReady]).toEqual([false, true])
  })

  it('is waited for by an instance that starts, until it has caught up', async () => {
    const { model, mortal, say } = await open()
    const first = mortal()
    await start(first)
    await say('Created', { id: 'a', name: 'Ada' })
    first.kill()
    const users = model()
    const starting = watch(users.start())
    await clock.advance(9500)
    expect([starting.isSettled, users.status.isReady]).toEqual([false, false])
    await clock.advance(2000)
    await starting.promise
    expect((await users.get('a'))?.state.name).toBe('Ada')
  })

  it('can be closed while it waits', async () => {
    const { model, mortal } = await open()
    const first = mortal()
    await start(first)
    first.kill()
    const users = model()
    const starting = users.start().catch((error: unknown) => error)
    await clock.flush()
    await users.close()
    expect(await starting).toMatchObject({ code: 'ERR_CLOSED' })
  })

  it.each(['own', 'shared'] as const)(
    'FM-G10 a key or id without UTF-8 form holds nothing up (%s copy)',
    async (copy) => {
      const { model, say } = await open()
      const users = model({ copy })
      await users.start()
      await say('Created', { id: 'half \ud800', name: 'Nobody' })
      // Parked under its id, which has no such form either.
      await say('Renamed', { id: 'unknown', name: 'Nobody' }, { id: 'event \udc00' })
      await say('Created', { id: 'a', name: 'Ada' })
      await clock.advance(2000)
      expect((await users.get('a'))?.state.name).toBe('Ada')
      expect(users.status).toMatchObject({ isReady: true, parked: 2 })
      expect(users.errors).toEqual([])
    },
  )

  it.each(['get', 'put'])(
    'hurts nothing when it does not know that it is none any more, and its %s of a row comes late',
    async (late) => {
      const { model, say, rename, storeWith } = await open()
      let isStopped = false
      let resume = () => {}
      const stopped = new Promise<void>((resolve) => {
        resume = resolve
      })
      // A process that stands still in the middle of a fold, and its clock with it.
      const own = createFakeClock()
      const store = storeWith((call, key) => (isStopped && call === late && key.startsWith('row/') ? stopped : 'ok'))
      const [users, other] = [model({ store, clock: own }), model()]
      await users.start()
      const starting = other.start()
      await clock.advance(1000)
      await own.advance(1000)
      await clock.advance(1000)
      await starting
      await say('Created', { id: 'a', name: 'Ada' })
      // So that its successor goes on with its rows.
      await own.advance(1000)
      isStopped = true
      await rename('a', 1, 60)
      await clock.advance(15_000)
      isStopped = false
      // Its successor is 60 events further, more than a row has ids.
      expect((await other.get('a'))?.state.names).toEqual(named('Ada', 60))
      resume()
      // It goes on before it looks whether it is still the keeper.
      for (let turn = 0; turn < 20; turn += 1) await clock.flush()
      expect((await other.get('a'))?.state.names).toEqual(named('Ada', 60))
      await own.advance(5000)
      expect((await other.get('a'))?.state.names).toEqual(named('Ada', 60))
      expect(other.status.isReady).toBe(true)
    },
  )
})
