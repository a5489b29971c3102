import { memoryStore, memoryTransport, type Store } from 'respond-async'
import { createReadModel, type ReadModelOptions } from 'respond-async/read-model'
import { afterEach, describe, expect, it } from 'vitest'
import type { Transport } from '../../../src/core/transport.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { faultyStore } from '../../../src/testing/faulty.js'
import { watch } from '../core/support.js'
import { type Events, eventOf, numbered, publish, type User, usersProjection } from './support.js'

const clock = createFakeClock()
const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function open({ maxLog = 1000 } = {}) {
  const transport = memoryTransport({ clock, maxLog })
  const store: Store = memoryStore({ clock })
  await transport.start()
  await store.start()
  ends.push(() => transport.close())
  const model = (more: Partial<ReadModelOptions<User>> = {}) => {
    const options = { transport, store, projection: usersProjection(), copy: 'shared', clock, ...more } as const
    const made = createReadModel<User>(options)
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
  it('has what had happened, whichever instance has read it, and what happens then', async () => {
    const { model, say } = await open()
    await say('Created', { id: 'a', name: 'Ada' })
    const instances = [model(), model(), model()]
    const starting = Promise.all(instances.map((one) => one.start()))
    await clock.advance(1000)
    await starting
    for (const name of ['x', 'y', 'z']) await say('Renamed', { id: 'a', name })
    for (const one of instances) {
      expect(one.status).toMatchObject({ isReady: true, size: undefined })
      expect((await one.get('a'))?.state.names).toEqual(['Ada', 'x', 'y', 'z'])
    }
    await say('Deleted', { id: 'a' })
    for (const one of instances) expect(await one.get('a')).toBeUndefined()
  })

  it('is not ready while its reader has ended, and misses nothing that comes meanwhile', async () => {
    const { transport, model, say } = await open()
    let end = (_reason: unknown): void => {}
    let isAway = false
    const subscribe: Transport['subscribe'] = async (subscription, onMessage) => {
      if (isAway) throw new Error('The queue is gone.')
      const reader = await transport.subscribe(subscription, onMessage)
      if (subscription.reading.kind !== 'shared') return reader
      const ended = new Promise((resolve) => {
        end = (reason) => void reader.close().then(() => resolve(reason))
      })
      return { ...reader, ended }
    }
    const users = model({ transport: { ...bind(transport), subscribe } })
    const errors: string[] = []
    users.on('error', ({ code }) => errors.push(code))
    await users.start()
    isAway = true
    end(new Error('of no use any more'))
    await clock.flush()
    await say('Created', { id: 'a', name: 'Ada' })
    expect([users.status.isReady, errors]).toEqual([false, ['ERR_NOT_CAUGHT_UP', 'ERR_INTERNAL']])
    isAway = false
    await clock.advance(1000)
    expect(users.status.isReady).toBe(true)
    expect((await users.get('a'))?.state.name).toBe('Ada')
  })

  it('keeps what happens while no instance runs, and reads the past only once', async () => {
    const { model, say, store, transport } = await open({ maxLog: 2 })
    const first = model()
    await first.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await first.close()
    for (const name of ['x', 'y', 'z']) await say('Renamed', { id: 'a', name })
    const second = model()
    await second.start()
    await clock.flush()
    expect((await second.get('a'))?.state.names).toEqual(['Ada', 'x', 'y', 'z'])
    await expect(store.records.get('read-model/users/1/building')).resolves.toBeUndefined()
    await transport.check()
  })

  it('an event is settled once the store has it, and not before', async () => {
    const { transport, store, model, say } = await open()
    let failures = 3
    const flaky = faultyStore(store, (call, [write]) => {
      const isRow = call === 'records.put' && (write as { key: string }).key.includes('/row/')
      if (!isRow || failures === 0) return 'ok'
      failures -= 1
      return failures === 1 ? 'fail-after' : 'fail-before'
    })
    const users = model({ store: flaky })
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    await clock.advance(1000)
    // The last write was made, although its answer was lost.
    expect([failures, (await users.get('a'))?.state.names]).toEqual([1, ['Ada']])
    expect(transport.parked).toEqual([])
  })

  it('FM-G9 two instances that write one row at the same time lose no event', async () => {
    const { model, store, transport } = await open()
    const instances = [model({ projection: numbered() }), model({ projection: numbered() })]
    const starting = Promise.all(instances.map((one) => one.start()))
    await clock.advance(1000)
    await starting
    const created = eventOf('Created', { id: 'a', name: '1', n: 1 }, { clock })
    const renamed = Array.from({ length: 40 }, (_, index) =>
      eventOf('Renamed', { id: 'a', name: `${index + 2}`, n: index + 2 }, { clock }),
    )
    await publish(transport, ...renamed, created, ...renamed)
    await clock.advance(5000)
    const names = Array.from({ length: 41 }, (_, index) => `${index + 1}`)
    expect((await instances[0]?.get('a'))?.state.names).toEqual(names)
    await store.check()
  })

  it('FM-G10 parks at the broker what cannot be folded', async () => {
    const { model, say, transport } = await open()
    const users = model()
    await users.start()
    const { id } = await say('Renamed', { id: 'b', name: 'nobody to rename' })
    const { id: garbage } = await say('Created', {} as never, { body: Buffer.from('{') })
    await say('Created', { id: 'a', name: 'Ada' })
    expect(transport.parked.map(({ message }) => message.id)).toEqual([id, garbage])
    expect([users.status.parked, (await users.get('a'))?.state.name]).toEqual([2, 'Ada'])
  })

  it('refuses to start when the past cannot be read, and the next one tries again', async () => {
    const { model, say } = await open({ maxLog: 1 })
    await say('Created', { id: 'a', name: 'Ada' })
    await say('Created', { id: 'b', name: 'Bob' })
    await expect(model().start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
    const load = () => [{ key: 'a', state: { id: 'a', name: 'Ada', names: ['Ada'] }, time: clock.now() }]
    const users = model({ load })
    await users.start()
    await say('Renamed', { id: 'a', name: 'x' }, { time: clock.now() + 1 })
    expect((await users.get('a'))?.state.names).toEqual(['Ada', 'x'])
  })

  it('takes over from an instance that died while it read the past', async () => {
    const { model, store } = await open()
    await store.records.put({ key: 'read-model/users/1/building', value: new Uint8Array(0), ttlMs: 30_000 })
    const users = model()
    const starting = watch(users.start())
    await clock.advance(29_000)
    expect([starting.isSettled, users.status.isReady]).toEqual([false, false])
    await clock.advance(2000)
    await starting.promise
    expect(users.status.isReady).toBe(true)
  })

  it('can be closed while another instance reads the past', async () => {
    const { model, store } = await open()
    await store.records.put({ key: 'read-model/users/1/building', value: new Uint8Array(0) })
    const users = model()
    const starting = users.start().catch((error: unknown) => error)
    await clock.flush()
    const closing = users.close()
    await clock.advance(500)
    await closing
    expect(await starting).toMatchObject({ code: 'ERR_CLOSED' })
  })

  it('answers in time when the store has gone silent, and at once when it is known to be down', async () => {
    const { store, model } = await open()
    let isSilent = false
    const silent = faultyStore(store, (call) => (isSilent && call === 'records.get' ? 'hang' : 'ok'))
    const users = model({ store: silent })
    await users.start()
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
    const { store, model } = await open()
    const users = model()
    await users.start()
    const created = eventOf('Created', { id: 'a', name: 'Ada' }, { clock })
    const waiting = watch(users.whenAt(created))
    await clock.advance(100)
    expect(waiting.isSettled).toBe(false)
    const row = { state: {}, sequence: 0, time: 0, seen: [created.id], waiting: [] }
    await store.records.put({ key: 'read-model/users/1/row/a', value: Buffer.from(JSON.stringify(row)) })
    await clock.advance(100)
    expect(await waiting.promise).toBe(true)
  })
})
