import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/core/clock.js'
import { type Deadline, Deadlines } from '../../../src/core/deadlines.js'

/** A clock whose timers and immediates come at once when time is moved, without promises: thousands of runs are made. */
function quickClock() {
  let time = 0
  let timers: { at: number; callback: () => void }[] = []
  const clock: Clock = {
    now: () => time,
    monotonic: () => time,
    setTimer(callback, ms) {
      const timer = { at: time + ms, callback }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    setImmediate: (callback) => callback(),
  }
  function advance(ms: number): void {
    const until = time + ms
    for (;;) {
      const next = timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      timers = timers.filter((other) => other !== next)
      time = Math.max(time, next.at)
      next.callback()
    }
    time = until
  }
  /** The event loop is blocked: timers come late, all at once. */
  function stall(ms: number): void {
    time += ms
    advance(0)
  }
  return { clock, advance, stall }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    ms: fc.oneof(fc.nat(200), fc.nat(100_000), fc.double({ min: 0, max: 50, noNaN: true })),
  }),
  fc.record({ kind: fc.constant('cancel' as const), index: fc.nat(30) }),
  fc.record({ kind: fc.constant('advance' as const), ms: fc.oneof(fc.nat(15), fc.nat(60_000)) }),
  fc.record({ kind: fc.constant('stall' as const), ms: fc.nat(90_000) }),
)

interface Entry {
  readonly at: number
  readonly deadline: Deadline
  calledAt?: number
  canceled?: boolean
}

describe('Deadlines', () => {
  it('calls everything once, in time and in order, unless it was taken back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, advance, stall } = quickClock()
        const deadlines = new Deadlines(clock)
        const entries: Entry[] = []
        for (const each of steps) {
          if (each.kind === 'advance') advance(each.ms)
          else if (each.kind === 'stall') stall(each.ms)
          else if (each.kind === 'add') {
            const deadline = deadlines.add(each.ms, () => {
              expect(entry.calledAt).toBeUndefined()
              entry.calledAt = clock.monotonic()
            })
            const entry: Entry = { at: clock.monotonic() + each.ms, deadline }
            entries.push(entry)
          } else {
            const entry = entries[each.index]
            if (entry !== undefined && entry.calledAt === undefined) entry.canceled = true
            if (entry !== undefined) deadlines.cancel(entry.deadline)
          }
          for (const { at, calledAt, canceled } of entries) {
            if (canceled) expect(calledAt).toBeUndefined()
            else if (calledAt !== undefined) expect(calledAt).toBeGreaterThanOrEqual(at)
            else expect(clock.monotonic()).toBeLessThan(at + 20)
          }
          expect(deadlines.size).toBe(
            entries.filter(({ calledAt, canceled }) => calledAt === undefined && !canceled).length,
          )
        }
      }),
      { numRuns: 2000 },
    )
  })
})
