import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/core/clock.js'
import { Deadlines } from '../../../src/core/deadlines.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

function setup() {
  const clock = createFakeClock()
  return { clock, deadlines: new Deadlines(clock) }
}

describe('Deadlines', () => {
  it.each([
    ['a tick', 10],
    ['less than a tick', 1],
    ['a fraction', 0.5],
    ['the default wait', 5000],
    ['one turn of the wheel', 40_960],
    ['more than one turn', 41_000],
    ['many turns', 300_000],
  ])('calls once, not before its time and at most two ticks later: %s', async (_, ms) => {
    const { clock, deadlines } = setup()
    await clock.advance(3)
    const calls: number[] = []
    const from = clock.monotonic()
    deadlines.add(ms, () => calls.push(clock.monotonic() - from))
    await clock.advance(ms - 0.1)
    expect(calls).toEqual([])
    await clock.advance(20.1)
    expect(calls).toHaveLength(1)
    expect(calls[0]).toBeGreaterThanOrEqual(ms)
    await clock.advance(50_000)
    expect(calls).toHaveLength(1)
    expect(deadlines.size).toBe(0)
  })

  it('never calls synchronously, also for no time at all', async () => {
    const { clock, deadlines } = setup()
    let called = false
    deadlines.add(0, () => {
      called = true
    })
    deadlines.add(-5, () => {})
    expect(called).toBe(false)
    await clock.advance(20)
    expect(called).toBe(true)
    expect(deadlines.size).toBe(0)
  })

  it('calls in the order of the times, whatever the order of the additions', async () => {
    const { clock, deadlines } = setup()
    const calls: number[] = []
    for (const ms of [500, 50_000, 20, 41_000, 90_000, 30]) deadlines.add(ms, () => calls.push(ms))
    await clock.advance(100_000)
    expect(calls).toEqual([20, 30, 500, 41_000, 50_000, 90_000])
  })

  it('FM-F2 uses one timer for all, which ends by itself when nothing is left', async () => {
    const { clock, deadlines } = setup()
    for (let ms = 0; ms < 1000; ms += 1) deadlines.add(ms, () => {})
    expect(clock.pending).toBe(1)
    await clock.advance(1020)
    expect(deadlines.size).toBe(0)
    await clock.advance(41_000)
    expect(clock.pending).toBe(0)
  })

  it('PEER-T5 100,000 entries that are taken back leave nothing', async () => {
    const { clock, deadlines } = setup()
    const added = Array.from({ length: 100_000 }, (_, index) =>
      deadlines.add(index, () => {
        throw new Error('was taken back')
      }),
    )
    expect(deadlines.size).toBe(100_000)
    for (const deadline of added) deadlines.cancel(deadline)
    for (const deadline of added) deadlines.cancel(deadline)
    expect(deadlines.size).toBe(0)
    await clock.advance(41_000)
    expect(clock.pending).toBe(0)
  })

  it('takes an entry that is due back from within the call of another one', async () => {
    const { clock, deadlines } = setup()
    const calls: string[] = []
    const first = deadlines.add(10, () => {
      calls.push('first')
      deadlines.cancel(second)
      deadlines.cancel(first)
    })
    const second = deadlines.add(10, () => calls.push('second'))
    deadlines.add(10, () => calls.push('third'))
    await clock.advance(20)
    expect(calls).toEqual(['first', 'third'])
    expect(deadlines.size).toBe(0)
  })

  it('adds from within a call', async () => {
    const { clock, deadlines } = setup()
    const calls: number[] = []
    deadlines.add(10, () => {
      calls.push(clock.monotonic())
      deadlines.add(10, () => calls.push(clock.monotonic()))
    })
    await clock.advance(40)
    expect(calls).toEqual([10, 20])
  })

  describe('after a stall of the event loop', () => {
    /** A clock whose phases are moved by hand: timers, then sockets, then immediates, as in Node. */
    function stalled() {
      let time = 0
      let wake = () => {}
      let hop = () => {}
      const clock: Clock = {
        now: () => time,
        monotonic: () => time,
        setTimer(callback) {
          wake = callback
          return () => {}
        },
        setImmediate(callback) {
          hop = callback
        },
      }
      const timersAfter = (ms: number) => {
        time += ms
        wake()
      }
      return { deadlines: new Deadlines(clock), timersAfter, immediates: () => hop() }
    }

    it('FM-A3 what has arrived is read before anybody is told that time is up', () => {
      const { deadlines, timersAfter, immediates } = stalled()
      const calls: string[] = []
      const answered = deadlines.add(100, () => calls.push('answered'))
      deadlines.add(100, () => calls.push('unanswered'))
      timersAfter(5000)
      expect(calls).toEqual([])
      // Now the socket is read, and brings the result.
      deadlines.cancel(answered)
      immediates()
      expect(calls).toEqual(['unanswered'])
      expect(deadlines.size).toBe(0)
    })

    it('of many turns of the wheel everything that fell due is called, once', () => {
      const { deadlines, timersAfter, immediates } = stalled()
      const calls: number[] = []
      for (const ms of [10, 40_950, 40_970, 90_000, 400_000]) deadlines.add(ms, () => calls.push(ms))
      timersAfter(200_000)
      immediates()
      expect(calls.sort((a, b) => a - b)).toEqual([10, 40_950, 40_970, 90_000])
      timersAfter(200_020)
      immediates()
      expect(calls).toHaveLength(5)
      expect(deadlines.size).toBe(0)
    })
  })

  // The clock refuses, as Node does not, a timer that would overflow and so fire at once.
  it.each([999_999_999_000, Number.MAX_SAFE_INTEGER])('FM-E6 %d ms never come at once', async (ms) => {
    const { clock, deadlines } = setup()
    deadlines.add(ms, () => {
      throw new Error('too early')
    })
    await clock.advance(100_000)
    expect(deadlines.size).toBe(1)
  })

  it('wakes for an earlier entry that comes after a later one', async () => {
    const { clock, deadlines } = setup()
    const calls: string[] = []
    deadlines.add(40_000, () => calls.push('late'))
    await clock.advance(15)
    deadlines.add(10, () => calls.push('early'))
    await clock.advance(25)
    expect(calls).toEqual(['early'])
  })

  it('the timer stays when the last entry is taken back, as the next one needs it; close lets go of it', () => {
    const { clock, deadlines } = setup()
    deadlines.cancel(deadlines.add(40_000, () => {}))
    expect(clock.pending).toBe(1)
    deadlines.close()
    expect(clock.pending).toBe(0)
  })

  it('FM-P11 what is pending still comes after close, and then no timer stays', async () => {
    const { clock, deadlines } = setup()
    const calls: string[] = []
    deadlines.add(10, () => calls.push('pending'))
    const takenBack = deadlines.add(40_000, () => calls.push('taken back'))
    deadlines.close()
    await clock.advance(30)
    expect([calls, clock.pending]).toEqual([['pending'], 1])
    deadlines.cancel(takenBack)
    expect(clock.pending).toBe(0)
    deadlines.add(10, () => calls.push('afterwards'))
    await clock.advance(30)
    expect([calls, clock.pending, deadlines.size]).toEqual([['pending', 'afterwards'], 0, 0])
  })
})
