import { memoryStore, memoryTransport, type Store } from 'respond-async'
import { createReadModel, type ReadModelOptions } from 'respond-async/read-model'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { type FaultPlan, faultyStore } from '../../../src/testing/faulty.js'
import { watch } from '../core/support.js'
import { type Events, eventOf, publish, type User, usersProjection } from './support.js'

const clock = createFakeClock()
const ends: (() => Promise<unknown>)[] = []
const PREFIX = 'read-model/users/1/'

afterEach(async () => {
  // A store that is silent to an instance is waited for.
  const ended = Promise.all(ends.splice(0).map((end) => end()))
  await clock.advance(20_000)
  await ended
})

/** A store whose calls for records may go wrong, told by their names and what follows the prefix in their keys. */
async function open(fault: (call: string, key: string) => ReturnType<FaultPlan> = () => 'ok') {
  const transport = memoryTransport({ clock })
  const store: Store = memoryStore({ clock })
  await transport.start()
  await store.start()
  ends.push(() => transport.close())
  const faulty = faultyStore(store, (call, [first]) => {
    if (!call.startsWith('records.')) return 'ok'
    const key = typeof first === 'string' ? first : (first as { key: string }).key
    return fault(call.slice('records.'.length), key.slice(PREFIX.length))
  })
  const model = (more: Partial<ReadModelOptions<User>> = {}) => {
    const options = { transport, store: faulty, projection: usersProjection(), clock, ...more }
    const made = createReadModel<User>({ copy: 'shared', ...options })
    ends.push(() => made.close())
    return made
  }
  const say = async <Type extends keyof Events>(type: Type, data: Events[Type]) => {
    const message = eventOf(type, data, { clock })
    await publish(transport, message)
    await clock.flush()
    return message
  }
  return { transport, store, model, say }
}

/** Holds calls back until they are let go. */
function createHold() {
  let letGo = (): void => {}
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  return { held, letGo: () => letGo() }
}

describe('a store that has gone silent', () => {
  it('FM-G9 keeps the order of a key, and nothing is folded twice, whenever its writes are done', async () => {
    const first = createHold()
    const writes: string[] = []
    let fault: 'ok' | 'hang' = 'ok'
    const { model, say } = await open((call, key) => {
      if (call !== 'put' || !/^row\/.*\/a$/.test(key)) return 'ok'
      writes.push(fault)
      // The first write that is not answered is done in the end, when all others are.
      return fault === 'hang' && writes.length === 2 ? first.held : fault
    })
    const users = model()
    await users.start()
    await say('Created', { id: 'a', name: 'Ada' })
    fault = 'hang'
    await say('Renamed', { id: 'a', name: 'x' })
    await say('Renamed', { id: 'a', name: 'y' })
    await clock.advance(3000)
    expect([writes, (await users.get('a'))?.state.names]).toEqual([['ok', 'hang', 'hang', 'hang'], ['Ada']])
    fault = 'ok'
    await clock.advance(1200)
    expect((await users.get('a'))?.state.names).toEqual(['Ada', 'x', 'y'])
    first.letGo()
    await clock.advance(2000)
    await say('Renamed', { id: 'a', name: 'z' })
    expect((await users.get('a'))?.state.names).toEqual(['Ada', 'x', 'y', 'z'])
  })

  it('FM-G10 an event that cannot be folded is parked, also when the answer to its write was lost', async () => {
    let fault: 'ok' | 'hang-after' = 'ok'
    const { store, model, say } = await open((call, key) => {
      const lost = fault
      if (call !== 'put' || !key.startsWith('row/')) return 'ok'
      fault = 'ok'
      return lost
    })
    const users = model()
    await users.start()
    fault = 'hang-after'
    const { id } = await say('Renamed', { id: 'b', name: 'nobody to rename' })
    await clock.advance(1500)
    const parked = await store.records.list(`${PREFIX}parked/`)
    expect([users.status.parked, parked.map(({ key }) => key)]).toEqual([1, [`${PREFIX}parked/${id}`]])
  })

  it('what it does not take is read again when the read model is closed, which takes a few calls', async () => {
    let isSilent = false
    const { model, say } = await open((call) => (isSilent && call === 'put' ? 'hang' : 'ok'))
    const users = model()
    await users.start()
    isSilent = true
    await say('Created', { id: 'a', name: 'Ada' })
    await say('Renamed', { id: 'a', name: 'x' })
    await clock.advance(500)
    const closing = watch(users.close())
    await clock.advance(3000)
    expect(closing.isSettled).toBe(true)
    isSilent = false
    const next = model()
    const starting = next.start()
    await clock.advance(15_000)
    await starting
    expect((await next.get('a'))?.state.names).toEqual(['Ada', 'x'])
  })

  it.each([
    ['get', 'types'],
    ['list', 'parked/'],
    ['get', 'state'],
    ['put', 'state'],
  ])('ends a start within a few calls: %s %s', async (call, key) => {
    let isSilent = true
    const { model } = await open((name, of) => (isSilent && name === call && of === key ? 'hang' : 'ok'))
    const starting = watch(model().start())
    await clock.advance(2500)
    expect(starting.isSettled).toBe(true)
    await expect(starting.promise).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    isSilent = false
    await model().start()
  })

  it('ends a start that has begun to read the past', async () => {
    let isSilent = false
    const { model, say } = await open(() => (isSilent ? 'hang' : 'ok'))
    await say('Created', { id: 'a', name: 'Ada' })
    const load = () => {
      isSilent = true
      return []
    }
    const starting = watch(model({ load }).start())
    await clock.advance(15_000)
    expect(starting.isSettled).toBe(true)
    await expect(starting.promise).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  })

  it('FM-G10 stops no copy of its own at an event that it cannot keep', async () => {
    const { model, say } = await open((call, key) => (call === 'put' && key.startsWith('parked/') ? 'hang' : 'ok'))
    const users = model({ copy: 'own' })
    const errors: string[] = []
    users.on('error', ({ code }) => errors.push(code))
    await users.start()
    await say('Renamed', { id: 'b', name: 'nobody to rename' })
    await say('Created', { id: 'a', name: 'Ada' })
    await clock.advance(1000)
    expect([users.status.parked, errors]).toEqual([1, ['ERR_STORE_UNAVAILABLE']])
    expect((await users.get('a'))?.state.name).toBe('Ada')
  })
})

it('all that was parked before is known at the start, however much there is', async () => {
  const { store, model } = await open()
  for (let count = 0; count < 45; count += 1)
    await store.records.put({ key: `${PREFIX}parked/${count}`, value: Buffer.from('{}') })
  const users = model()
  await users.start()
  expect(users.status.parked).toBe(45)
})
