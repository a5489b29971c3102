import { memoryStore } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { Breaker } from '../../../src/core/breaker.js'
import { Deadlines } from '../../../src/core/deadlines.js'
import { guardStore } from '../../../src/core/guarded-store.js'
import type { Store } from '../../../src/core/store.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { type FaultPlan, faultyStore } from '../../../src/testing/faulty.js'
import { resultOf } from './support.js'

async function setup(plan: FaultPlan) {
  const clock = createFakeClock()
  const codes = { unavailable: 'ERR_STORE_UNAVAILABLE', uncertain: 'ERR_STORE_UNAVAILABLE' } as const
  const breaker = new Breaker({ clock, deadlines: new Deadlines(clock), ...codes, timeoutMs: 1000, onChange: () => {} })
  const store = memoryStore({ clock })
  await store.start()
  const guarded = guardStore(faultyStore(store, plan), breaker)
  return { clock, breaker, guarded, message: resultOf(undefined, clock) }
}

type Setup = Awaited<ReturnType<typeof setup>>

// Every call that a gateway makes while requests run.
const CALLS: Record<string, (store: Store, message: Setup['message']) => Promise<unknown>> = {
  create: (store, request) => store.create({ id: 'a', command: 'Ask', request, ttlMs: 1, retentionMs: 1 }),
  complete: (store, result) => store.complete('a', { state: 'succeeded', result, command: 'Ask' }),
  progress: (store, event) => store.progress('a', event),
  get: (store) => store.get('a'),
  leaseUnpublished: (store) => store.leaseUnpublished({ olderThanMs: 0, leaseMs: 1, limit: 1 }),
  markPublished: (store) => store.markPublished(['a']),
  sweep: (store) => store.sweep(1),
  purge: (store) => store.purge(1),
  'records.get': (store) => store.records.get('k'),
  'records.put': (store, { body: value }) => store.records.put({ key: 'k', value }),
  'records.delete': (store) => store.records.delete('k', 1),
  'records.list': (store) => store.records.list('k', { limit: 1 }),
}

describe('guardStore', () => {
  it.each(Object.entries(CALLS))('%s reaches the store with all that it was given', async (name, call) => {
    const calls: string[] = []
    const { guarded, message } = await setup((made) => {
      calls.push(made)
      return 'ok'
    })
    await call(guarded, message)
    expect(calls).toEqual([name])
  })

  it.each(Object.entries(CALLS))(
    'FM-D2 %s is bounded in time, and refused while the store is away',
    async (name, call) => {
      const calls: string[] = []
      const { guarded, clock, breaker, message } = await setup((made) => {
        calls.push(made)
        return 'hang'
      })
      const failed = Array.from({ length: 5 }, () => call(guarded, message).catch((error: unknown) => error))
      await clock.advance(1100)
      for (const error of await Promise.all(failed))
        expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'unknown' } })
      expect(breaker.isOpen).toBe(true)
      const refused = await call(guarded, message).catch((error: unknown) => error)
      // One probe was admitted a second after it opened, at the earliest.
      expect(refused).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'not-accepted' } })
      expect(calls).toEqual(Array(5).fill(name))
    },
  )

  it('starting, closing and probing are not for the breaker to refuse', async () => {
    const { guarded, breaker } = await setup(() => 'ok')
    breaker.report(true)
    await guarded.start()
    await expect(guarded.check()).resolves.toBeUndefined()
    await guarded.close()
    expect([guarded.name, guarded.durability]).toEqual(['memory', { class: 'process' }])
  })
})
