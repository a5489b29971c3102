import type { Clock } from '../core/clock.js'

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /** How many timers are set. */
  readonly pending: number
  /** Moves time on, fires the timers that fall due in their order, and lets everything they start run in between. */
  advance(ms: number): Promise<void>
  /** Lets promises and immediate callbacks run until none is left, without moving time. */
  flush(): Promise<void>
  /** Sets the wall clock by so much, forwards or back, as an operator or a time server does; timers do not notice. */
  shift(ms: number): void
}

interface Timer {
  readonly at: number
  readonly callback: () => void
}

// As setTimeout: beyond this, a real timer would fire at once.
const LONGEST = 2 ** 31 - 1
const ROUNDS = 10_000

/** Makes a clock for tests. Immediate callbacks are real ones, so code that waits for them needs no help. */
export function createFakeClock({ now: start = Date.UTC(2026, 0, 1) } = {}): FakeClock {
  // The monotonic time, and what has to be added for the wall clock.
  let elapsed = 0
  let offset = start
  let immediates = 0
  // In the order in which they fire.
  let timers: Timer[] = []

  const flush = (): Promise<void> => rest(() => immediates > 0)

  return {
    get pending() {
      return timers.length
    },
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    setTimer(callback, ms) {
      if (!(ms <= LONGEST)) throw new RangeError(`A timer cannot wait for ${ms} ms, but for ${LONGEST} at most.`)
      const timer = { at: elapsed + Math.max(ms, 0), callback }
      const later = timers.findIndex(({ at }) => at > timer.at)
      timers.splice(later < 0 ? timers.length : later, 0, timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    setImmediate(callback) {
      immediates += 1
      setImmediate(() => {
        immediates -= 1
        callback()
      })
    },
    flush,
    async advance(ms) {
      const end = elapsed + ms
      await flush()
      for (let timer = timers[0]; timer !== undefined && timer.at <= end; timer = timers[0]) {
        timers.shift()
        elapsed = Math.max(elapsed, timer.at)
        timer.callback()
        await flush()
      }
      elapsed = Math.max(elapsed, end)
    },
    shift(ms) {
      offset += ms
    },
  }
}

/** Turns of the real event loop, in each of which all promises and immediates that wait are run. */
async function rest(isBusy: () => boolean): Promise<void> {
  for (let round = 0; round === 0 || isBusy(); round += 1) {
    if (round === ROUNDS)
      throw new Error(`The fake clock gave up after ${ROUNDS} rounds: something never comes to rest.`)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}
