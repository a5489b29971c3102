import { describe, expect, it } from 'vitest'
import { createTransientStore } from '../../../src/core/transient-store.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { resultOf } from './support.js'

const clock = createFakeClock()
const request = resultOf(undefined, clock, { id: 'a', type: 'Ask' })
const operation = { id: 'a', command: 'Ask', request, ttlMs: 1000, retentionMs: 5000 }

describe('createTransientStore', () => {
  it('knows an operation until it has ended, or is forgotten', async () => {
    const store = createTransientStore(() => 100)
    const { created, operation: made } = await store.create(operation)
    expect(created).toBe(true)
    expect(made).toMatchObject({ id: 'a', state: 'running', version: 1, createdAt: 100, expiresAt: 1100 })
    expect(await store.get('a')).toBe(made)
    const ending = { state: 'succeeded', result: request, command: 'Ask' } as const
    expect(await store.complete('a', { ...ending, command: 'Tell' })).toMatchObject({ verdict: 'foreign' })
    expect(await store.complete('a', ending)).toMatchObject({ verdict: 'won', operation: { state: 'succeeded' } })
    expect(await store.get('a')).toBeUndefined()
    expect(await store.complete('a', ending)).toBeUndefined()
    await store.create({ ...operation, id: 'b' })
    store.forget('b')
    expect(await store.get('b')).toBeUndefined()
  })

  it('has nothing to publish again, to sweep or to tell', async () => {
    const store = createTransientStore(() => 100)
    await store.start()
    await store.create(operation)
    expect(await store.progress('a', request)).toBeUndefined()
    expect(await store.leaseUnpublished({ olderThanMs: 0, leaseMs: 1, limit: 1 })).toEqual({ token: 0, operations: [] })
    await store.markPublished(['a'])
    expect(await store.sweep(10)).toEqual([])
    await expect(store.check()).resolves.toBeUndefined()
    expect(store.watch).toBeUndefined()
    await store.close()
    expect(await store.get('a')).toBeUndefined()
  })

  it('keeps no records, and says what would', async () => {
    const { records } = createTransientStore(() => 100)
    const refused = { code: 'ERR_CONFIG', message: "A gateway with store: 'none' keeps no records; give it a store." }
    for (const call of [
      records.get('k'),
      records.put({ key: 'k', value: request.body }),
      records.delete('k'),
      records.list(''),
    ]) {
      await expect(call).rejects.toMatchObject(refused)
    }
  })
})
