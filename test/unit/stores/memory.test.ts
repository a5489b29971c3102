import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { toMessage } from '../../../src/core/event.js'
import type { Ending, NewOperation, Operation } from '../../../src/core/operation.js'
import type { RecordWrite } from '../../../src/core/store.js'
import { type MemoryStoreOptions, memoryStore } from '../../../src/stores/memory/index.js'
import { type Due, Lane, Lanes } from '../../../src/stores/memory/lanes.js'
import { SortedKeys } from '../../../src/stores/memory/sorted-keys.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

const FULL = { code: 'ERR_STORE_FULL' }

async function setup(options: MemoryStoreOptions = {}) {
  const clock = createFakeClock()
  const store = memoryStore({ clock, ...options })
  await store.start()
  const event = (type: string) => toMessage({ type, source: 'test' }, clock)
  const create = (id: string, more: Partial<NewOperation> = {}) =>
    store.create({ id, command: 'Do', request: event('Do'), ttlMs: 1000, retentionMs: 5000, ...more })
  const done = (): Ending => ({ state: 'succeeded', result: event('Done'), command: 'Do' })
  const record = (key: string, more: Partial<RecordWrite> = {}): RecordWrite => ({
    key,
    value: Buffer.from(key),
    ...more,
  })
  return { clock, store, event, create, done, record }
}

describe('a full memory store', () => {
  it('purges the operation that ended first, together with its key', async () => {
    const { clock, store, create, done } = await setup({ maxOperations: 3 })
    const idempotency = { key: 'k', fingerprint: 'f' }
    await create('running')
    await create('longest kept', { retentionMs: 90_000, idempotency })
    await create('ended second', { retentionMs: 2000 })
    await store.complete('longest kept', done())
    await clock.advance(10)
    await store.complete('ended second', done())
    await create('new')
    expect(await store.get('longest kept')).toBeUndefined()
    expect((await store.get('ended second'))?.state).toBe('succeeded')
    expect((await create('key is free', { idempotency })).created).toBe(true)
    expect(await store.get('ended second')).toBeUndefined()
    expect((await store.get('running'))?.state).toBe('running')
  })

  it('refuses new operations when all are running, and says that nothing has happened', async () => {
    const { store, create, done } = await setup({ maxOperations: 2 })
    await create('1', { idempotency: { key: 'k', fingerprint: 'f' } })
    await create('2')
    await expect(create('3')).rejects.toMatchObject({ ...FULL, retryable: true, details: { outcome: 'not-accepted' } })
    expect(await store.get('3')).toBeUndefined()
    expect((await create('2')).created).toBe(true)
    expect((await create('4', { idempotency: { key: 'k', fingerprint: 'f' } })).created).toBe(false)
    await store.complete('1', done())
    expect((await create('3')).created).toBe(true)
  })

  it('takes the room of a running operation that is past its time', async () => {
    const { clock, store, create } = await setup({ maxOperations: 2 })
    await create('1', { ttlMs: 100 })
    await create('2')
    await clock.advance(100)
    expect((await create('3')).created).toBe(true)
    expect(await store.get('1')).toBeUndefined()
  })

  it('of records refuses new keys only, unless some are past their time', async () => {
    const { clock, store, record } = await setup({ maxRecords: 2 })
    await store.records.put(record('1'))
    await store.records.put(record('2', { ttlMs: 100 }))
    await expect(store.records.put(record('3'))).rejects.toMatchObject(FULL)
    expect(await store.records.put(record('2', { ttlMs: 100 }))).toBeGreaterThan(0)
    expect(await store.records.put(record('3', { ifVersion: 7 }))).toBeUndefined()
    await clock.advance(100)
    expect(await store.records.put(record('3'))).toBeGreaterThan(0)
    expect((await store.records.list('')).map(({ key }) => key)).toEqual(['1', '3'])
  })

  it('of records does not end an operation without the records that belong to its end', async () => {
    const { store, create, done, record } = await setup({ maxRecords: 2 })
    await create('1')
    await store.records.put(record('a'))
    await expect(store.complete('1', done(), [record('b'), record('c')])).rejects.toMatchObject(FULL)
    expect((await store.get('1'))?.state).toBe('running')
    expect((await store.records.list('')).length).toBe(1)
    const settled = await store.complete('1', done(), [record('a'), record('b')])
    expect(settled?.verdict).toBe('won')
    expect((await store.records.list('')).length).toBe(2)
  })
})

describe('time in a memory store', () => {
  it('ends an operation when it falls due, whenever somebody looks', async () => {
    const { clock, store, create } = await setup()
    await create('looked at')
    await create('not looked at')
    const due = clock.now() + 1000
    await clock.advance(1000)
    expect(await store.get('looked at')).toMatchObject({ state: 'expired', updatedAt: due, expiresAt: due + 5000 })
    await clock.advance(4000)
    expect(await store.get('not looked at')).toMatchObject({ state: 'expired', updatedAt: due, expiresAt: due + 5000 })
    await clock.advance(1000)
    expect(await store.get('looked at')).toBeUndefined()
    expect(await store.get('not looked at')).toBeUndefined()
  })

  it('lets a sweep report what somebody has seen expired already, once', async () => {
    const { clock, store, create } = await setup()
    await create('1')
    await create('2')
    await clock.advance(1000)
    await store.get('2')
    const ids = (swept: readonly Operation[]) => swept.map(({ id }) => id)
    expect(ids(await store.sweep(10))).toEqual(['2', '1'])
    expect(await store.sweep(10)).toEqual([])
  })

  it('FM-D12 reports what is past its retention too, when nobody has looked for long', async () => {
    const { clock, store, create } = await setup()
    await create('1')
    await clock.advance(100_000)
    expect((await store.sweep(10)).map(({ state }) => state)).toEqual(['expired'])
    expect(await store.get('1')).toBeUndefined()
  })

  it('FM-A18 that is set back prolongs lives, and breaks nothing', async () => {
    const { clock, store, create } = await setup()
    await create('1')
    clock.shift(-3_600_000)
    await create('2')
    await clock.advance(1000)
    expect((await store.get('1'))?.state).toBe('running')
    expect((await store.get('2'))?.state).toBe('expired')
    await clock.advance(3_600_000)
    expect((await store.sweep(10)).length).toBe(2)
  })

  it('sets no timers', async () => {
    const { clock, store, create, record } = await setup()
    await create('1')
    await store.records.put(record('a', { ttlMs: 100 }))
    expect(clock.pending).toBe(0)
  })
})

describe('a memory store', () => {
  it('tells its watchers before a call returns, and hands them the operation', async () => {
    const { clock, store, event, create, done } = await setup()
    const heard: string[] = []
    await store.watch?.((id, operation) => heard.push(`${id} ${operation?.state} ${operation?.version}`))
    await create('1')
    await create('2')
    void store.progress('1', event('Doing'))
    void store.complete('1', done())
    void store.complete('1', done())
    expect(heard).toEqual(['1 running 2', '1 succeeded 3'])
    await clock.advance(1000)
    await store.get('2')
    expect(heard.at(-1)).toBe('2 expired 2')
  })

  it('ends an operation all the same when the condition of a record does not hold', async () => {
    const { store, create, done, record } = await setup()
    await create('1')
    await store.records.put(record('a'))
    const writes = [record('a', { value: Buffer.from('x'), ifVersion: 0 }), record('b')]
    expect((await store.complete('1', done(), writes))?.verdict).toBe('won')
    expect((await store.records.list('')).map(({ value }) => Buffer.from(value).toString())).toEqual(['a', 'b'])
  })

  it('gives no version twice, so that a record made anew is not taken for the old one', async () => {
    const { store, record } = await setup()
    const first = await store.records.put(record('a'))
    await store.records.delete('a')
    const second = await store.records.put(record('a'))
    expect(second).toBeGreaterThan(first ?? 0)
    expect(await store.records.delete('a', first)).toBe(false)
  })

  it('FM-F1 lets go of the operations that are purged', async () => {
    const { store, create, event } = await setup({ maxOperations: 10 })
    const first = new WeakRef(event('Done'))
    for (let count = 0; count < 1000; count += 1) {
      await create(`${count}`)
      const result = count === 0 ? (first.deref() ?? event('Done')) : event('Done')
      await store.complete(`${count}`, { state: 'succeeded', result, command: 'Do' })
    }
    await collectGarbage()
    expect(first.deref()).toBeUndefined()
  })

  it('keeps what it has while nobody has it open', async () => {
    const { store, create, record } = await setup()
    await create('1')
    await store.records.put(record('a'))
    await store.close()
    await store.close()
    await store.start()
    expect((await store.get('1'))?.state).toBe('running')
    expect((await store.records.get('a'))?.key).toBe('a')
  })

  it.each([
    ['maxOperations', 0],
    ['maxOperations', 1.5],
    ['maxRecords', Number.POSITIVE_INFINITY],
  ])('refuses %s = %s', (name, value) => {
    expect(() => memoryStore({ [name]: value })).toThrowError(new RegExp(`${name}.*not ${value}`))
  })

  it.each([
    [{ x: 1 }, /memoryStore\(\) has no option "x"; there are: clock, maxOperations, maxRecords/],
    [5, /the options of memoryStore\(\) is 5; allowed is an object/],
  ])('refuses %j as options', (options, message) => {
    expect(() => memoryStore(options as object)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }),
    )
  })
})

describe('a lane', () => {
  it('knows its oldest item, whichever leave', () => {
    const gone = new Set<number>()
    const lane = new Lane<number>((item) => !gone.has(item))
    const plain = new Set<number>()
    for (let item = 0; item < 3000; item += 1) {
      lane.add(item)
      plain.add(item)
      if (item % 3 === 0) continue
      const leaving = item % 2 === 0 ? Math.min(...plain) : [...plain][(item * 31) % plain.size]
      if (leaving === undefined || item % 100 === 0) continue
      plain.delete(leaving)
      gone.add(leaving)
      lane.countOut()
      if (item % 10 === 0) expect(lane.first).toBe(Math.min(...plain))
    }
    expect([...lane]).toEqual([...plain])
    expect(lane.size).toBe(plain.size)
  })
})

describe('lanes', () => {
  it('know the item that came first, and one that is due, whatever their lifetimes', () => {
    const lanes = new Lanes<Due & { readonly name: string }>()
    const add = (name: string, cameAt: number, lifetimeMs: number) => {
      const item = { name, dueAt: cameAt + lifetimeMs, lane: undefined }
      lanes.add(item, lifetimeMs)
      return item
    }
    const short = add('short', 10, 50)
    const long = add('long', 5, 900)
    const last = add('last', 20, 50)
    expect([lanes.oldest()?.name, lanes.due(59)?.name, lanes.due(60)?.name]).toEqual(['long', undefined, 'short'])
    lanes.remove(long, 900)
    lanes.remove(long, 900)
    expect(lanes.oldest()?.name).toBe('short')
    lanes.remove(short, 50)
    lanes.remove(last, 50)
    expect([lanes.oldest(), lanes.due(1000)]).toEqual([undefined, undefined])
    for (let lifetimeMs = 1; lifetimeMs < 100; lifetimeMs += 1) lanes.remove(add('passing', 0, lifetimeMs), lifetimeMs)
    expect(add('after', 0, 7)).toBe(lanes.oldest())
  })
})

describe('sorted keys', () => {
  it('stay in order over many chunks', () => {
    const keys = new SortedKeys()
    const plain = new Set<string>()
    for (let step = 0; step < 8000; step += 1) {
      const key = `k${(step * 7919) % 5003}`
      if (!plain.has(key)) {
        keys.add(key)
        plain.add(key)
      } else if (step % 2 === 0) {
        keys.delete(key)
        plain.delete(key)
      }
    }
    const sorted = [...plain].sort()
    expect(sorted.length).toBeGreaterThan(2000)
    for (const from of ['', 'k', 'k25', 'k4999', 'l'])
      expect([...keys.from(from)]).toEqual(sorted.filter((key) => key >= from))
    for (const key of sorted) keys.delete(key)
    expect([...keys.from('')]).toEqual([])
    keys.add('again')
    expect([...keys.from('')]).toEqual(['again'])
  })
})

async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  // A WeakRef holds its target until the turn of the event loop in which it was read is over.
  await new Promise<void>((resolve) => setImmediate(resolve))
  runInNewContext('gc')()
}
