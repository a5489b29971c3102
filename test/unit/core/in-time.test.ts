import { describe, expect, it } from 'vitest'
import { within } from '../../../src/core/in-time.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

describe('a call that is waited for within a limit', () => {
  const late = () => new Error('too late')

  it('settles as the call does, and leaves no timer', async () => {
    const clock = createFakeClock()
    expect(await within(Promise.resolve(1), { ms: 100, late, clock })).toBe(1)
    await expect(within(Promise.reject(new Error('no')), { ms: 100, late, clock })).rejects.toThrow('no')
    expect(clock.pending).toBe(0)
  })

  it('rejects at the limit, and passes over what the call comes to later', async () => {
    const clock = createFakeClock()
    let fail = (_error: Error) => {}
    const call = new Promise<never>((_resolve, reject) => {
      fail = reject
    })
    const waiting = expect(within(call, { ms: 100, late, clock })).rejects.toThrow('too late')
    await clock.advance(100)
    await waiting
    fail(new Error('much later'))
    expect(clock.pending).toBe(0)
  })
})
