import { memoryStore, memoryTransport } from 'respond-async'
import { createReadModel, type ReadModelOptions } from 'respond-async/read-model'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { faultyStore, faultyTransport } from '../../../src/testing/faulty.js'
import { watch } from '../core/support.js'
import { type Events, eventOf, numbered, publish, type User, usersProjection } from './support.js'

const clock = createFakeClock()
const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A broker, and whatever reads it. */
async function open({ maxLog = 1000, maxQueued = 1000 } = {}) {
  const transport = memoryTransport({ clock, maxLog, maxQueued })
  const store = memoryStore({ clock })
  await transport.start()
  await store.start()
  ends.push(() => transport.close())
  const model = (more: Partial<ReadModelOptions<User>> = {}) => {
    const made = createReadModel<User>({ transport, projection: usersProjection(), clock, ...more })
    ends.push(() => made.close())
    return made
  }
  const say = async <Type extends keyof Events>(type: Type, data: Events[Type], more = {}) => {
    const message = eventOf(type, data, { clock, ...more })
    await publish(transport, message)
    await clock.flush()
    return message
  }
  return { transport, store, model, say }
}

describe('a read model with a copy of its own', () => {
  it('has everything that had happened when it has started, and what happens then', async () => {
    const { model, say } = await open()
    await say('Created', { id: 'a', name: 'Ada' })
    const users = model()
    expect(users.status).toMatchObject({ isReady: false, isConnected: false })
    await users.start()
    expect(users.status).toMatchObject({ isReady: true, isConnected: true, size: 1, parked: 0, waiting: 0, lagMs: 0 })
    expect((await users.get('a'))?.state).toEqual({ id: 'a', name: 'Ada', names: ['Ada'] })
    const { time } = await say('Renamed', { id: 'a', name: 'Countess' })
    expect(await users.get('a')).toEqual({
      ...{ key: 'a', time, sequence: 0 },
      state: { id: 'a', name: 'Countess', names: ['Ada', 'Countess'] },
    })
    await say('Deleted', { id: 'a' })
    expect(await users.get('a')).toBeUndefined()
    expect(await users.get('nobody')).toBeUndefined()
  })

  it('is not ready before it has caught up', async () => {
    const { transport, say } = await open()
    await say('Created', { id: 'a', name: 'Ada' })
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const slow = faultyTransport(transport, (call) => (call === 'deliver' ? held : 'ok'))
    const users = createReadModel<User>({ transport: slow, projection: usersProjection(), clock })
    const starting = watch(users.start())
    await clock.flush()
    expect([starting.isSettled, users.status.isReady]).toEqual([false, false])
    release()
    await starting.promise
    expect(users.status.isReady).toBe(true)
    await users.close()
    expect(users.status.isReady).toBe(false)
  })

  it('can be closed while it catches up', async () => {
    const { transport, say } = await open()
    await say('Created', { id: 'a', name: 'Ada' })
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const slow = faultyTransport(transport, (call) => (call === 'deliver' ? held : 'ok'))
    const users = createReadModel<User>({ transport: slow, projection: usersProjection(), clock })
    const starting = users.start().catch((error: unknown) => error)
    await clock.flush()
    const closing = users.close()
    release()
    await closing
    expect(await starting).toMatchObject({ code: 'ERR_CLOSED' })
  })

  it.each(['subscribe', 'load', 'records.get'])(
    'can be closed while it waits for %s, and leaves no reader',
    async (wait) => {
      const { transport, store, say } = await open({ maxLog: 1 })
      for (const id of ['a', 'b']) await say('Created', { id, name: id })
      let release = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      const readers = new Set<unknown>()
      let isWaiting = false
      const plan = (call: string) => {
        if (call !== wait) return 'ok'
        isWaiting = true
        return held
      }
      const faulty = faultyTransport(transport, plan)
      const subscribe = faulty.subscribe
      const counting: typeof faulty = Object.create(faulty, {
        subscribe: {
          value: async (...args: Parameters<typeof subscribe>) => {
            const reader = await subscribe(...args)
            readers.add(reader)
            const close = async () => {
              readers.delete(reader)
              await reader.close()
            }
            return { caughtUp: reader.caughtUp, close }
          },
        },
      })
      const load = async function* () {
        yield { key: 'a', state: { id: 'a', name: 'Ada', names: [] } }
        await plan('load')
        yield { key: 'b', state: { id: 'b', name: 'Bob', names: [] } }
      }
      const options = {
        transport: counting,
        store: faultyStore(store, plan),
        projection: usersProjection(),
        clock,
        load,
      }
      const users = createReadModel<User>(options)
      const starting = users.start().catch((error: unknown) => error)
      await clock.flush()
      expect(isWaiting).toBe(true)
      const closing = users.close()
      await clock.flush()
      release()
      await closing
      expect(await starting).toMatchObject({ code: 'ERR_CLOSED' })
      expect([readers.size, users.status.isReady]).toEqual([0, false])
    },
  )

  it('FM-G9 an event that comes twice changes nothing', async () => {
    const { transport, model, say } = await open()
    const users = model()
    await users.start()
    const created = await say('Created', { id: 'a', name: 'Ada' })
    const renamed = await say('Renamed', { id: 'a', name: 'Countess' })
    await publish(transport, created, renamed, created)
    await clock.flush()
    expect((await users.get('a'))?.state.names).toEqual(['Ada', 'Countess'])
  })

  it('FM-G9 numbered events are folded in their order, however they come', async () => {
    const { model, say } = await open()
    const users = model({ projection: numbered() })
    await users.start()
    await say('Renamed', { id: 'a', name: 'three', n: 3 })
    await say('Renamed', { id: 'a', name: 'two', n: 2 })
    expect(await users.get('a')).toBeUndefined()
    expect(users.status.waiting).toBe(1)
    await say('Created', { id: 'a', name: 'one', n: 1 })
    expect(await users.get('a')).toMatchObject({ sequence: 3, state: { names: ['one', 'two', 'three'] } })
    expect(users.status.waiting).toBe(0)
  })

  it('FM-G10 an event that cannot be folded is parked, and the others go on', async () => {
    const { store, model, say, transport } = await open()
    const users = model({ store })
    const parked: string[] = []
    users.on('parked', ({ message }) => parked.push(message.id))
    await users.start()
    const { id: nobody } = await say('Renamed', { id: 'b', name: 'nobody to rename' })
    const { id: garbage } = await say('Created', {} as never, { body: Buffer.from('{"id":') })
    await say('Created', { id: 'a', name: 'Ada' })
    expect(parked).toEqual([nobody, garbage])
    expect(users.status).toMatchObject({ isReady: true, parked: 2 })
    expect((await users.get('a'))?.state.name).toBe('Ada')
    const records = await store.records.list('read-model/users/1/parked/')
    expect(records.map(({ key }) => key.split('/').at(-1)).sort()).toEqual([nobody, garbage].sort())
    await users.close()
    // The count outlives the process: somebody still has to look at them.
    const again = createReadModel<User>({ transport, store, projection: usersProjection(), clock })
    await again.start()
    expect(again.status.parked).toBe(2)
    await again.close()
  })

  it('FM-G10 an event that is parked again after a restart is counted and told once, whatever its id', async () => {
    const { store, transport, model, say } = await open()
    const ids = ['topic/0/1', 'a%2Fb', 'ä b']
    for (const id of ids) await say('Renamed', { id: 'b', name: 'nobody to rename' }, { id })
    const first = model({ store })
    await first.start()
    expect(first.status.parked).toBe(3)
    // Ended without a snapshot, so that the next start reads the same events.
    const again = createReadModel<User>({ transport, store, projection: usersProjection(), clock })
    const told: string[] = []
    again.on('parked', ({ message }) => told.push(message.id))
    await again.start()
    ends.push(() => again.close())
    expect([again.status.parked, told]).toEqual([3, []])
  })

  it('FM-G10 an event goes on being counted where the store does not keep it', async () => {
    const { store, model, say } = await open()
    const users = model({ store: faultyStore(store, (call) => (call === 'records.put' ? 'fail-before' : 'ok')) })
    const errors: string[] = []
    users.on('error', ({ code }) => errors.push(code))
    await users.start()
    await say('Renamed', { id: 'b', name: 'nobody to rename' })
    await say('Created', { id: 'a', name: 'Ada' })
    expect([users.status.parked, errors]).toEqual([1, ['ERR_STORE_UNAVAILABLE']])
    expect((await users.get('a'))?.state.name).toBe('Ada')
  })

  it('rebuilds from a snapshot and what came after it, where the log no longer reaches back', async () => {
    const { store, model, say } = await open({ maxLog: 2 })
    const first = model({ store })
    await first.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await say('Created', { id: 'b', name: 'Bob' })
    await first.close()
    await say('Renamed', { id: 'a', name: 'Countess' })
    await say('Created', { id: 'c', name: 'Cy' })
    const second = model({ store })
    await second.start()
    expect(second.status.size).toBe(3)
    expect((await second.get('a'))?.state.names).toEqual(['Ada', 'Countess'])
    expect((await second.get('b'))?.state.names).toEqual(['Bob'])
  })

  it('takes a snapshot once a minute, when something has changed', async () => {
    const { store, model, say } = await open({ maxLog: 1 })
    const users = model({ store })
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    expect(await store.records.get('read-model/users/1/head')).toBeUndefined()
    await clock.advance(60_000)
    const head = await store.records.get('read-model/users/1/head')
    await clock.advance(180_000)
    expect((await store.records.get('read-model/users/1/head'))?.version).toBe(head?.version)
    await say('Created', { id: 'b', name: 'Bob' })
    await clock.advance(60_000)
    expect((await store.records.get('read-model/users/1/head'))?.version).toBeGreaterThan(head?.version ?? 0)
    expect(await store.records.list('read-model/users/1/chunk/')).toHaveLength(1)
  })

  it('drops all of a large snapshot that it has replaced, without reading it', async () => {
    const { store, model, say } = await open()
    const listed: unknown[] = []
    const noted = faultyStore(store, (call, [prefix]) => {
      if (call === 'records.list') listed.push(prefix)
      return 'ok'
    })
    const users = model({ store: noted })
    await users.start()
    listed.length = 0
    for (const id of ['a', 'b', 'c']) await say('Created', { id, name: id.repeat(200_000) })
    await clock.advance(60_000)
    const chunks = async () =>
      (await store.records.list('read-model/users/1/chunk/')).map(({ key }) => key.split('/').at(-2))
    const before = await chunks()
    await say('Created', { id: 'd', name: 'Dan' })
    await clock.advance(60_000)
    const after = await chunks()
    expect([before.length, new Set(before).size, new Set(after).size, listed]).toEqual([3, 1, 1, []])
    expect(after).not.toContain(before[0])
  })

  it('renews its snapshot before the store drops it, when nothing changes', async () => {
    const { store, model, say } = await open({ maxLog: 1 })
    const users = model({ store, snapshotTtlMs: 600_000 })
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    for (let minute = 0; minute < 30; minute += 1) await clock.advance(60_000)
    expect(await store.records.get('read-model/users/1/head')).toBeDefined()
  })

  it('takes snapshots when its clock was put back', async () => {
    const { store, transport, say } = await open()
    let shiftMs = 0
    const shifted = { ...clock, now: () => clock.now() + shiftMs }
    const users = createReadModel<User>({ transport, store, projection: usersProjection(), clock: shifted })
    ends.push(() => users.close())
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await clock.advance(60_000)
    const head = await store.records.get('read-model/users/1/head')
    shiftMs = -3_600_000
    await say('Created', { id: 'b', name: 'Bob' })
    await clock.advance(60_000)
    expect((await store.records.get('read-model/users/1/head'))?.version).toBeGreaterThan(head?.version ?? 0)
  })

  it('takes a snapshot when so many events are kept for it that no more would come, whatever the clock says', async () => {
    const { store, transport, say } = await open()
    let shiftMs = 0
    const shifted = { ...clock, now: () => clock.now() + shiftMs }
    const released: string[] = []
    const keeping = { from: '0', limit: 4, release: (position: string) => released.push(position) }
    const keeper: typeof transport = Object.create(transport, {
      start: { value: () => transport.start() },
      close: { value: () => transport.close() },
      subscribe: {
        value: async (...args: Parameters<typeof transport.subscribe>) =>
          Object.assign(Object.create(await transport.subscribe(...args)), { keeping }),
      },
    })
    const users = createReadModel<User>({ transport: keeper, store, projection: usersProjection(), clock: shifted })
    ends.push(() => users.close())
    await users.start()
    for (const id of ['a', 'b']) await say('Created', { id, name: id })
    await clock.advance(1)
    expect(released).toHaveLength(1)
    shiftMs = -1000
    for (const id of ['c', 'd']) await say('Created', { id, name: id })
    await clock.advance(1)
    expect(released).toHaveLength(2)
  })

  it('waits for the store for storeTimeoutMs each time, and no close waits for long', async () => {
    const { store, model, say } = await open()
    let fault: 'ok' | 'hang' = 'ok'
    const users = model({ store: faultyStore(store, () => fault), snapshotMs: 200, storeTimeoutMs: 1000 })
    const errors: string[] = []
    users.on('error', ({ code }) => errors.push(code))
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    fault = 'hang'
    await clock.advance(1100)
    expect(errors).toEqual([])
    await clock.advance(200)
    expect(errors).toEqual(['ERR_STORE_UNAVAILABLE'])
    await clock.advance(300)
    fault = 'ok'
    const closing = watch(users.close())
    await clock.advance(1000)
    expect(closing.isSettled).toBe(true)
    expect(await store.records.get('read-model/users/1/head')).toBeDefined()
  })

  it('does not wait without end for the snapshot of a store that is silent', async () => {
    const { store, model } = await open()
    const users = model({
      store: faultyStore(store, (call, [key]) =>
        call === 'records.get' && String(key).endsWith('/head') ? 'hang' : 'ok',
      ),
    })
    const starting = watch(users.start())
    await clock.advance(1500)
    expect(starting.isSettled).toBe(true)
    await expect(starting.promise).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  })

  it('has snapshots of its own when it has a name', async () => {
    const { store, model, say } = await open()
    const users = model({ store, instance: 'one' })
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await users.close()
    expect(await store.records.get('read-model/users/1/head')).toBeUndefined()
    expect(await store.records.get('read-model/users/1/instance/one/head')).toBeDefined()
  })

  it('does not use the snapshot of another fold', async () => {
    const { store, model, say } = await open()
    const first = model({ store })
    await first.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await first.close()
    const upper = {
      Created: (_: unknown, { data: { id, name } }: { data: Events['Created'] }) => ({
        id,
        name: name.toUpperCase(),
        names: [],
      }),
    }
    const second = model({ store, projection: usersProjection({ version: 2, on: upper }) })
    await second.start()
    expect((await second.get('a'))?.state.name).toBe('ADA')
  })

  it('refuses to start when it cannot be rebuilt, by a named error', async () => {
    const { transport, store, model, say } = await open({ maxLog: 1 })
    await say('Created', { id: 'a', name: 'Ada' })
    await say('Created', { id: 'b', name: 'Bob' })
    const error = await model({ store })
      .start()
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'ERR_NOT_REBUILDABLE', message: expect.stringContaining('maxLog') })
    // Everything that it had opened is closed again.
    await transport.close()
    await expect(transport.check()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    await transport.start()
  })

  it('refuses a snapshot that the log no longer reaches back to', async () => {
    const { store, model, say } = await open({ maxLog: 1 })
    const first = model({ store })
    await first.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await first.close()
    await say('Created', { id: 'b', name: 'Bob' })
    await say('Created', { id: 'c', name: 'Cy' })
    await expect(model({ store }).start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
  })

  it('refuses to begin anew with another log, and keeps the snapshot of the one that was', async () => {
    const { store, model, say } = await open()
    const first = model({ store })
    await first.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await first.close()
    const head = await store.records.get('read-model/users/1/head')
    const anew = await open()
    await anew.say('Created', { id: 'b', name: 'Bob' })
    await anew.say('Created', { id: 'c', name: 'Cy' })
    for (let start = 0; start < 2; start += 1) {
      const refused = anew.model({ store })
      await expect(refused.start()).rejects.toMatchObject({
        code: 'ERR_NOT_REBUILDABLE',
        message: expect.stringMatching(/load\(\).*another version/),
      })
      await refused.close()
    }
    expect(await store.records.get('read-model/users/1/head')).toEqual(head)
    const load = () => [{ key: 'a', state: { id: 'a', name: 'Ada', names: ['Ada'] } }]
    const loaded = anew.model({ store, load })
    await loaded.start()
    expect(loaded.status.size).toBe(3)
    const next = anew.model({ store, projection: usersProjection({ version: 2 }) })
    await next.start()
    expect(next.status.size).toBe(2)
  })

  it('starts with what load() gives, and what happens while it is loaded', async () => {
    const { model, say } = await open({ maxLog: 1 })
    await say('Created', { id: 'old', name: 'not in the log' })
    await say('Created', { id: 'older', name: 'not in the log' })
    async function* load() {
      await say('Renamed', { id: 'a', name: 'Countess' })
      yield { key: 'a', state: { id: 'a', name: 'Ada', names: ['Ada'] }, time: 1 }
      yield { key: 'b', state: { id: 'b', name: 'Bob', names: ['Bob'] }, time: clock.now() + 1 }
      await say('Renamed', { id: 'b', name: 'is in the state already' })
    }
    const users = model({ load })
    await users.start()
    await clock.flush()
    expect((await users.get('a'))?.state.names).toEqual(['Ada', 'Countess'])
    expect((await users.get('b'))?.state.names).toEqual(['Bob'])
  })

  it('does not start with half of what load() gives', async () => {
    const { model } = await open()
    const load = function* () {
      yield { key: 'a', state: { id: 'a', name: 'Ada', names: [] } }
      throw new Error('The database is away.')
    }
    const users = model({ load })
    await expect(users.start()).rejects.toThrow('The database is away.')
    expect(users.status.isReady).toBe(false)
  })

  it('is not ready, and reads again, when its reader is ended for being too far behind', async () => {
    const { model, transport, store } = await open({ maxQueued: 2 })
    const users = model({ store })
    const errors: string[] = []
    users.on('error', ({ code }) => errors.push(code))
    await users.start()
    const messages = ['a', 'b', 'c', 'd'].map((id) => eventOf('Created', { id, name: id }, { clock }))
    const warnings: string[] = []
    const warn = (warning: Error) => warnings.push(warning.message)
    process.on('warning', warn)
    await publish(transport, ...messages)
    await Promise.resolve()
    await clock.flush()
    expect(errors).toEqual(['ERR_NOT_CAUGHT_UP'])
    await clock.advance(1000)
    expect(users.status).toMatchObject({ isReady: true, size: 4 })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', warn)
    expect(warnings).toHaveLength(1)
  })

  it('leaves no timer when it is closed after it has read again', async () => {
    const { transport, store, say } = await open()
    let fault: 'ok' | 'fail-before' = 'ok'
    let end: (reason: unknown) => void = () => {}
    const faulty = faultyTransport(transport, (call) => (call === 'subscribe' ? fault : 'ok'))
    const subscribe = faulty.subscribe
    const ending: typeof faulty = Object.create(faulty, {
      subscribe: {
        value: async (...args: Parameters<typeof subscribe>) => {
          const reader = fault === 'ok' ? await transport.subscribe(...args) : await subscribe(...args)
          const ended = new Promise((resolve) => {
            end = resolve
          })
          return { caughtUp: reader.caughtUp, ended, close: () => reader.close() }
        },
      },
    })
    const before = clock.pending
    const users = createReadModel<User>({ transport: ending, projection: usersProjection(), clock, store })
    users.on('error', () => {})
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    fault = 'fail-before'
    end(new Error('cut off'))
    await clock.flush()
    fault = 'ok'
    await clock.advance(1000)
    expect(users.status.isReady).toBe(true)
    await users.close()
    expect(clock.pending).toBe(before)
  })

  it('tells when an event is in it', async () => {
    const { model, say, transport } = await open()
    const users = model()
    await users.start()
    const created = eventOf('Created', { id: 'a', name: 'Ada' }, { clock })
    const waiting = watch(users.whenAt(created))
    await clock.flush()
    expect(waiting.isSettled).toBe(false)
    await publish(transport, created)
    await clock.flush()
    expect(await waiting.promise).toBe(true)
    expect(await users.whenAt(created)).toBe(true)
    const late = watch(users.whenAt(eventOf('Renamed', { id: 'a', name: 'x' }, { clock }), { waitMs: 50 }))
    await clock.advance(60)
    expect(await late.promise).toBe(false)
    const foreign = { ...created, type: 'Unknown' }
    expect(await users.whenAt(foreign)).toBe(true)
    const signal = AbortSignal.abort(new Error('gone'))
    await expect(users.whenAt(eventOf('Created', { id: 'z', name: 'z' }, { clock }), { signal })).rejects.toThrow(
      'gone',
    )
    const poison = await say('Renamed', { id: 'nobody', name: 'x' })
    expect(await users.whenAt(poison)).toBe(true)
  })

  it.each([
    [{ copy: 'all' }, "copy is \"all\"; allowed is 'own' or 'shared'"],
    [{ copy: 'shared' }, 'store is undefined'],
    [{ transport: {} }, 'transport is'],
    [{ projection: {} }, 'projection is'],
    [{ store: {} }, 'store is'],
    [{ load: 1 }, 'load is'],
    [{ instance: '' }, 'instance is'],
    [{ instance: 'a/b' }, 'instance is'],
    [{ snapshotMs: 0 }, 'snapshotMs is 0'],
    [{ snapshot: 1 }, 'createReadModel has no option "snapshot"'],
  ])('refuses %o', (more, message) => {
    const transport = memoryTransport()
    const make = () => createReadModel({ transport, projection: usersProjection(), ...(more as object) })
    expect(make).toThrow(message)
  })
})
