import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../src/core/deadlines.js'
import { toEvent, toMessage } from '../../../src/core/event.js'
import type { Operation, OperationState } from '../../../src/core/operation.js'
import type { OnGone, PendingRequest } from '../../../src/core/pending-request.js'
import { PendingRequests } from '../../../src/core/pending-requests.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { cpuMs } from '../cpu-time.js'

const LIMITS = { maxPending: 1_000_000, maxPendingPerPrincipal: 2 }

function setup() {
  const clock = createFakeClock()
  const deadlines = new Deadlines(clock)
  return { clock, deadlines, pending: new PendingRequests(deadlines, LIMITS) }
}

function operation(id: string, state: OperationState = 'succeeded', version = 2): Operation {
  const times = { createdAt: 0, updatedAt: 0, expiresAt: 0, retentionMs: 0 }
  return { id, command: 'Ask', state, version, published: true, ...times }
}

async function endOf(request: PendingRequest): Promise<unknown> {
  return Promise.race([request.ended(), Promise.resolve('open')])
}

describe('PendingRequests', () => {
  it('FM-A11 wakes everybody who waits for the operation, and nobody else', async () => {
    const { pending } = setup()
    const waiting = [pending.add('a'), pending.add('a'), pending.add('a')]
    const other = pending.add('b')
    const ended = operation('a')
    pending.wake(ended)
    for (const request of waiting) expect(await endOf(request)).toEqual({ kind: 'changed', operation: ended })
    expect(await endOf(other)).toBe('open')
    expect(pending.size).toBe(1)
    expect(pending.has('a')).toBe(false)
    expect(pending.ids()).toEqual(['b'])
  })

  it('gives the view of a result to one who waits alone; where several wait, one could change what the others see', async () => {
    const { pending } = setup()
    const [alone, ...several] = [pending.add('a'), pending.add('b'), pending.add('b')]
    const event = toEvent(toMessage({ type: 'Done', source: 'test', data: {} }, createFakeClock()))
    for (const id of ['a', 'b']) pending.wake(operation(id), event)
    expect(await endOf(alone as PendingRequest)).toMatchObject({ event })
    for (const request of several) expect(await endOf(request)).not.toMatchObject({ event: expect.anything() })
  })

  it.each([0, 1, 2])('FM-A10 one that leaves does not disturb the others for the same id: number %d', async (index) => {
    const { pending } = setup()
    const waiting = [pending.add('a'), pending.add('a'), pending.add('a')]
    waiting[index]?.end({ kind: 'gone', reason: 'left' })
    expect(pending.size).toBe(2)
    pending.wake(operation('a'))
    const kinds = await Promise.all(waiting.map(async (request) => (await request.ended()).kind))
    expect(kinds.map((kind) => kind === 'gone')).toEqual([0, 1, 2].map((each) => each === index))
    expect(pending.size).toBe(0)
    expect(pending.has('a')).toBe(false)
  })

  it('F21 ends once, with whatever comes first', async () => {
    const { clock, deadlines, pending } = setup()
    const request = pending.add('a')
    request.limit(100)
    pending.wake(operation('a'))
    request.end({ kind: 'gone', reason: undefined })
    pending.shutdown()
    await clock.advance(200)
    expect((await request.ended()).kind).toBe('changed')
    expect([pending.size, deadlines.size]).toEqual([0, 0])
  })

  it('is not woken by what is no end, unless it asked for changes beyond a version', async () => {
    const { pending } = setup()
    const forTheEnd = pending.add('a')
    const forChanges = pending.add('a', { observer: { seenVersion: 3 } })
    pending.wake(operation('a', 'running', 3))
    expect(pending.size).toBe(2)
    pending.wake(operation('a', 'running', 4))
    expect((await forChanges.ended()).kind).toBe('changed')
    expect(await endOf(forTheEnd)).toBe('open')
    // An end wakes whatever version was seen: there is nothing more to wait for.
    const seenAll = pending.add('a', { observer: { seenVersion: 9 } })
    pending.wake(operation('a', 'expired', 5))
    expect((await seenAll.ended()).kind).toBe('changed')
    expect(pending.size).toBe(0)
  })

  it('wakes nobody for an operation that nobody waits for', () => {
    const { pending } = setup()
    expect(() => pending.wake(operation('x'))).not.toThrow()
    expect(() => pending.confirm('x', 'confirmed')).not.toThrow()
  })

  it.each([0, -1])('limit(%d) ends at once, without a timer', async (ms) => {
    const { clock, deadlines, pending } = setup()
    const request = pending.add('a')
    request.limit(ms)
    expect(await endOf(request)).toEqual({ kind: 'due' })
    expect([deadlines.size, clock.pending]).toEqual([0, 0])
  })

  it('limit ends when time is up; one that has ended needs no timer', async () => {
    const { clock, deadlines, pending } = setup()
    const request = pending.add('a')
    request.limit(50)
    await clock.advance(40)
    expect(request.isOpen).toBe(true)
    await clock.advance(30)
    expect(await endOf(request)).toEqual({ kind: 'due' })
    expect(request.isOpen).toBe(false)
    request.limit(50)
    expect(deadlines.size).toBe(0)
  })

  describe('before the confirmation of the publish', () => {
    it('PEER-T1 time may be up, but nobody is told before the confirmation', async () => {
      const { clock, pending } = setup()
      const request = pending.add('a')
      request.awaitConfirmation()
      request.limit(0)
      const later = pending.add('a')
      later.awaitConfirmation()
      later.limit(20)
      await clock.advance(100)
      expect(pending.size).toBe(2)
      pending.confirm('a', 'confirmed')
      expect(await endOf(request)).toEqual({ kind: 'due' })
      expect(await endOf(later)).toEqual({ kind: 'due' })
    })

    it('a confirmation in time leaves the wait as it is', async () => {
      const { clock, pending } = setup()
      const request = pending.add('a')
      request.awaitConfirmation()
      request.limit(50)
      pending.confirm('a', 'confirmed')
      expect(await endOf(request)).toBe('open')
      await clock.advance(70)
      expect(await endOf(request)).toEqual({ kind: 'due' })
    })

    it('FM-B3 an unknown outcome ends the wait at once', async () => {
      const { pending } = setup()
      const request = pending.add('a')
      request.awaitConfirmation()
      request.limit(5000)
      pending.confirm('a', 'unconfirmed')
      expect(await endOf(request)).toEqual({ kind: 'unconfirmed' })
    })

    it('a result counts as the confirmation', async () => {
      const { pending } = setup()
      const request = pending.add('a')
      request.awaitConfirmation()
      pending.wake(operation('a'))
      expect((await request.ended()).kind).toBe('changed')
    })

    it('knows whether somebody here still waits for the confirmation', () => {
      const { pending } = setup()
      expect(pending.awaitsConfirmation('a')).toBe(false)
      pending.add('a').awaitConfirmation()
      pending.add('a')
      expect(pending.awaitsConfirmation('a')).toBe(true)
      pending.confirm('a', 'confirmed')
      expect(pending.awaitsConfirmation('a')).toBe(false)
    })
  })

  describe('leaveOn', () => {
    it('FM-A20 ends with the reason of an abort, and takes its listener back', async () => {
      const { pending } = setup()
      const controller = new AbortController()
      const request = pending.add('a')
      request.leaveOn({ signal: controller.signal })
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
      controller.abort('enough')
      expect(await endOf(request)).toEqual({ kind: 'gone', reason: 'enough' })
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    })

    it('FM-F3 leaves no listener on a signal that lives on', () => {
      const { pending } = setup()
      const { signal } = new AbortController()
      for (let count = 0; count < 100; count += 1) {
        const request = pending.add('a')
        request.leaveOn({ signal })
        if (count % 2 === 0) pending.wake(operation('a'))
        else request.limit(0)
      }
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
      expect(pending.size).toBe(0)
    })

    it('PEER-T15 ends at once on a signal that is aborted already', async () => {
      const { pending } = setup()
      const request = pending.add('a')
      const onGone = vi.fn<OnGone>()
      request.leaveOn({ signal: AbortSignal.abort('before'), onGone })
      expect(await endOf(request)).toEqual({ kind: 'gone', reason: 'before' })
      expect(onGone).not.toHaveBeenCalled()
    })

    it('FM-E1 hears of the departure by a callback, once or at once, and ends the subscription either way', async () => {
      const { pending } = setup()
      const unsubscribe = vi.fn()
      const atOnce = pending.add('a')
      atOnce.leaveOn({
        onGone: (listener) => {
          listener()
          return unsubscribe
        },
      })
      expect(await endOf(atOnce)).toEqual({ kind: 'gone', reason: undefined })
      expect(unsubscribe).toHaveBeenCalledTimes(1)
      const late = pending.add('a')
      late.leaveOn({ signal: new AbortController().signal, onGone: () => unsubscribe })
      pending.wake(operation('a'))
      expect(unsubscribe).toHaveBeenCalledTimes(2)
    })
  })

  it('P15 gives up all waits of those who asked, as if time were up, and lets observers be', async () => {
    const { pending } = setup()
    const asked = [pending.add('a'), pending.add('a'), pending.add('b')]
    const observer = pending.add('b', { observer: {} })
    const unconfirmed = pending.add('c')
    unconfirmed.awaitConfirmation()
    pending.giveUp()
    for (const request of asked) expect(await endOf(request)).toEqual({ kind: 'due' })
    expect([await endOf(observer), await endOf(unconfirmed)]).toEqual(['open', 'open'])
    pending.confirm('c', 'confirmed')
    expect(await endOf(unconfirmed)).toEqual({ kind: 'due' })
  })

  describe('shutdown', () => {
    it('FM-E10 ends every wait, also those that wait for a confirmation', async () => {
      const { deadlines, pending } = setup()
      const waiting = ['a', 'a', 'b', 'c'].map((id) => pending.add(id))
      waiting[0]?.awaitConfirmation()
      for (const request of waiting) request.limit(5000)
      pending.shutdown()
      for (const request of waiting) expect(await endOf(request)).toEqual({ kind: 'shutdown' })
      expect([pending.size, deadlines.size]).toEqual([0, 0])
    })

    it('those who only look on can be ended first, and then nobody looks on any more', async () => {
      const { pending } = setup()
      const request = pending.add('a')
      const observer = pending.add('a', { observer: {} })
      pending.shutdown('observers')
      expect(await endOf(observer)).toEqual({ kind: 'shutdown' })
      expect(await endOf(pending.add('a', { observer: { seenVersion: 1 } }))).toEqual({ kind: 'shutdown' })
      const late = pending.add('a')
      expect([request.isOpen, late.isOpen, pending.size]).toEqual([true, true, 2])
      pending.shutdown()
      expect([request.isOpen, late.isOpen, pending.size]).toEqual([false, false, 0])
    })

    it('FM-E10 who comes afterwards does not wait at all', async () => {
      const { pending } = setup()
      pending.shutdown()
      expect(await endOf(pending.add('a'))).toEqual({ kind: 'shutdown' })
      expect(pending.size).toBe(0)
    })
  })

  it('FM-H21 counts those of each principal, and says when it is one too many', () => {
    const { deadlines, pending } = setup()
    const all = ['ann', 'ann', 'bob', undefined].map((principal) => pending.add('a', { principal }))
    const full = () => ['ann', 'bob', undefined].map((principal) => pending.isFullFor(principal))
    expect(full()).toEqual([true, false, false])
    all[0]?.end({ kind: 'due' })
    all[0]?.end({ kind: 'due' })
    expect(full()).toEqual([false, false, false])
    const small = new PendingRequests(deadlines, { maxPending: 1, maxPendingPerPrincipal: 2 })
    small.add('b')
    expect(small.isFullFor('bob')).toBe(true)
  })

  it("a hook that throws ends its own wait, and nobody else's", async () => {
    const { clock, pending } = setup()
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const [broken, unkind, other] = [pending.add('a'), pending.add('b'), pending.add('c')]
    broken.leaveOn({
      onGone: () => {
        throw new Error('no hook')
      },
    })
    expect(await endOf(broken)).toEqual({ kind: 'gone', reason: new Error('no hook') })
    unkind.leaveOn({
      onGone: () => () => {
        throw new Error('no end')
      },
    })
    for (const each of [unkind, other]) each.limit(20)
    await clock.advance(40)
    for (const each of [unkind, other]) expect(await endOf(each)).toEqual({ kind: 'due' })
    expect(warnings).toHaveBeenCalledTimes(1)
    warnings.mockRestore()
  })

  it('whenEmpty resolves when nobody waits, at once if nobody does', async () => {
    const { pending } = setup()
    await pending.whenEmpty()
    const first = pending.add('a')
    const second = pending.add('b')
    let isEmpty = false
    const empty = Promise.all([pending.whenEmpty(), pending.whenEmpty()]).then(() => {
      isEmpty = true
    })
    first.end({ kind: 'due' })
    await Promise.resolve()
    expect(isEmpty).toBe(false)
    second.end({ kind: 'due' })
    await empty
    expect(isEmpty).toBe(true)
  })

  it('PEER-T25 finds those who wait among 100,000 operations by one look-up', async () => {
    const { pending } = setup()
    const one = pending.add('wanted')
    for (let count = 0; count < 100_000; count += 1) pending.add(`id-${count}`)
    const wakeAll = () => {
      for (let count = 0; count < 10_000; count += 1) pending.wake(operation('unknown'))
      pending.wake(operation('wanted'))
    }
    // A scan of all of them for each result would take minutes.
    expect(cpuMs(wakeAll)).toBeLessThan(1000)
    expect((await one.ended()).kind).toBe('changed')
    pending.shutdown()
    expect(pending.size).toBe(0)
  }, 30_000)
})
