import type { Clock } from '../../../src/core/clock.js'

/** A clock that stands still until it is told to go on. */
export interface TestClock extends Clock {
  /** Lets so much time pass: timers, immediates and promises in the order in which they would come. */
  advance(ms: number): Promise<void>
  /** Lets promises and immediates come, at this very time. */
  settle(): Promise<void>
  /** Time passes and nothing can happen meanwhile, as while the event loop is blocked. */
  stall(ms: number): void
  readonly timers: number
}

export function testClock(start = 1_000_000): TestClock {
  let time = 0
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>()
  let immediates: (() => void)[] = []
  async function settle(): Promise<void> {
    do {
      const due = immediates
      immediates = []
      for (const callback of due) callback()
      await new Promise((resolve) => setImmediate(resolve))
    } while (immediates.length > 0)
  }
  async function advance(ms: number): Promise<void> {
    const until = time + ms
    await settle()
    for (;;) {
      const [next] = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      time = Math.max(time, next.at)
      // Node calls all timers that are due, and only then looks at sockets and immediates.
      for (const timer of [...timers].filter(({ at }) => at <= time).sort((a, b) => a.at - b.at)) {
        if (timers.delete(timer)) timer.callback()
      }
      await settle()
    }
    time = until
  }
  return {
    now: () => start + time,
    monotonic: () => time,
    setTimer(callback, ms) {
      const timer = { at: time + ms, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    setImmediate: (callback) => void immediates.push(callback),
    advance,
    settle,
    stall(ms) {
      time += ms
    },
    get timers() {
      return timers.size
    },
  }
}
