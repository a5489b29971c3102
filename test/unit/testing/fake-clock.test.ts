import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

describe('a fake clock', () => {
  it('stands still, and starts where it is told', async () => {
    const clock = createFakeClock({ now: 1234 })
    await clock.flush()
    expect([clock.now(), clock.monotonic(), clock.pending]).toEqual([1234, 0, 0])
  })

  it('fires timers in the order in which they fall due, at their times', async () => {
    const clock = createFakeClock({ now: 1000 })
    const fired: string[] = []
    for (const [name, ms] of [
      ['c', 30],
      ['a', 10],
      ['b', 20],
      ['b2', 20],
      ['d', 31],
    ] as const) {
      clock.setTimer(() => fired.push(`${name}@${clock.monotonic()}`), ms)
    }
    await clock.advance(30)
    expect(fired).toEqual(['a@10', 'b@20', 'b2@20', 'c@30'])
    expect([clock.now(), clock.pending]).toEqual([1030, 1])
    await clock.advance(1)
    expect(fired.at(-1)).toBe('d@31')
  })

  it('fires timers that are set on the way, when they fall due on the way', async () => {
    const clock = createFakeClock()
    const fired: number[] = []
    const again = (): void => {
      fired.push(clock.monotonic())
      clock.setTimer(again, 10)
    }
    clock.setTimer(again, 10)
    await clock.advance(35)
    expect(fired).toEqual([10, 20, 30])
    expect(clock.monotonic()).toBe(35)
  })

  it('lets promises and immediate callbacks run between two timers', async () => {
    const clock = createFakeClock()
    const order: string[] = []
    clock.setTimer(() => {
      order.push('timer 1')
      void Promise.resolve()
        .then(() => order.push('promise'))
        .then(() => clock.setImmediate(() => order.push('immediate')))
    }, 10)
    clock.setTimer(() => order.push('timer 2'), 10)
    await clock.advance(10)
    expect(order).toEqual(['timer 1', 'promise', 'immediate', 'timer 2'])
  })

  it('fires no canceled timer, and counts those that are set', async () => {
    const clock = createFakeClock()
    const cancel = clock.setTimer(() => expect.unreachable(), 10)
    clock.setTimer(() => {}, 0)
    expect(clock.pending).toBe(2)
    cancel()
    cancel()
    expect(clock.pending).toBe(1)
    await clock.advance(0)
    expect(clock.pending).toBe(0)
    await clock.advance(10)
  })

  it('runs immediate callbacks without help, and flush waits for those that they cause', async () => {
    const clock = createFakeClock()
    await new Promise<void>((resolve) => clock.setImmediate(resolve))
    let count = 0
    const next = (): void => {
      count += 1
      if (count < 100) clock.setImmediate(next)
    }
    clock.setImmediate(next)
    await clock.flush()
    expect(count).toBe(100)
  })

  it('gives up when there is no rest', async () => {
    const clock = createFakeClock()
    let stopped = false
    const forever = (): void => {
      if (!stopped) clock.setImmediate(forever)
    }
    clock.setImmediate(forever)
    await expect(clock.flush()).rejects.toThrow(/never comes to rest/)
    stopped = true
  })

  it('FM-A18 shifts the wall clock, and no timer', async () => {
    const clock = createFakeClock({ now: 5000 })
    let fired = false
    clock.setTimer(() => {
      fired = true
    }, 10)
    clock.shift(-3_600_000)
    expect([clock.now(), clock.monotonic()]).toEqual([5000 - 3_600_000, 0])
    await clock.advance(9)
    expect(fired).toBe(false)
    await clock.advance(1)
    expect(fired).toBe(true)
  })

  it.each([2 ** 31, Number.POSITIVE_INFINITY, Number.NaN])(
    'FM-E6 refuses a timer of %s ms, which would really fire at once',
    (ms) => {
      expect(() => createFakeClock().setTimer(() => {}, ms)).toThrow(RangeError)
    },
  )
})
