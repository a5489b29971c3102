import { memoryStore, memoryTransport } from 'respond-async'
import { createReadModel, type ReadModelOptions } from 'respond-async/read-model'
import { afterEach, describe, expect, it } from 'vitest'
import type { LogFacts, Transport } from '../../../src/core/transport.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { eventOf, publish, type User, usersProjection } from './support.js'

const clock = createFakeClock()
const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A transport whose replays say this of their log, and a read model on it. */
async function open(log: LogFacts, more: Partial<ReadModelOptions<User>> = {}) {
  const transport = memoryTransport({ clock })
  await transport.start()
  ends.push(() => transport.close())
  const subscribe: Transport['subscribe'] = async (...call) => {
    const reader = await transport.subscribe(...call)
    return { caughtUp: reader.caughtUp, close: () => reader.close(), log }
  }
  const told = new Proxy<Transport>(transport, {
    get(target, name) {
      if (name === 'subscribe') return subscribe
      const value = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const model = () => {
    const made = createReadModel<User>({ transport: told, projection: usersProjection(), clock, ...more })
    ends.push(() => made.close())
    return made
  }
  const say = async (id: string, key: string) => {
    await publish(transport, eventOf('Created', { id, name: id }, { clock, key }))
    await clock.flush()
  }
  return { model, say }
}

const compacted = { isCompacted: true }
const refusal = { code: 'ERR_NOT_REBUILDABLE', message: expect.stringContaining('cleanup.policy=delete') }

describe('a read model on a log that is compacted', () => {
  it('starts when all events have the key of the state they change', async () => {
    const { model, say } = await open(compacted)
    await say('a', 'a')
    const users = model()
    await users.start()
    await say('b', 'b')
    expect(users.status).toMatchObject({ isReady: true, size: 2 })
  })

  it('refuses to start when an event has another key, also the next time with a snapshot', async () => {
    const { model, say } = await open(compacted, { store: memoryStore({ clock }) })
    await say('a', 'a')
    await say('b', 'tenant')
    for (let round = 0; round < 2; round += 1) {
      const users = model()
      await expect(users.start()).rejects.toMatchObject(refusal)
      await users.close()
      expect(users.status.isReady).toBe(false)
    }
  })

  it('reports the first event with another key that comes later, and goes on', async () => {
    const { model, say } = await open(compacted)
    const users = model()
    const errors: unknown[] = []
    users.on('error', (error) => errors.push(error))
    await users.start()
    await say('a', 'tenant')
    await say('b', 'tenant')
    expect(errors).toEqual([expect.objectContaining(refusal)])
    expect(users.status).toMatchObject({ isReady: true, size: 2 })
  })
})

describe('a read model on a log that drops old events', () => {
  const limited = { isCompacted: false, dropsOld: 'retention.ms=86400000' }

  it('refuses to start when nothing else has them, and says what to do', async () => {
    const { model } = await open(limited)
    await expect(model().start()).rejects.toMatchObject({
      code: 'ERR_NOT_REBUILDABLE',
      message: expect.stringMatching(/retention\.ms=86400000.*retention\.ms=-1.*store.*load\(\)/),
    })
  })

  it('starts with a store for snapshots, and with load()', async () => {
    for (const more of [{ store: memoryStore({ clock }) }, { load: () => [] }]) {
      const { model, say } = await open(limited, more)
      await say('a', 'tenant')
      const users = model()
      await users.start()
      expect(users.status).toMatchObject({ isReady: true, size: 1 })
    }
  })
})
