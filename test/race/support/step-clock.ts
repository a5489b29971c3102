import type { Clock } from '../../../src/index.js'

interface Timer {
  readonly due: number
  readonly callback: () => void
}

/** A clock that stands still until it is told to go on to its next timer. */
export class StepClock implements Clock {
  readonly #timers = new Set<Timer>()
  readonly #hop: (callback: () => void) => void
  #ms = 1_000_000

  /** `hop` decides when the callbacks of `setImmediate` are called. */
  constructor(hop: (callback: () => void) => void) {
    this.#hop = hop
  }

  /** How many timers are set. */
  get size(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#ms
  }

  monotonic(): number {
    return this.#ms
  }

  setTimer(callback: () => void, ms: number): () => void {
    const timer = { due: this.#ms + ms, callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  setImmediate(callback: () => void): void {
    this.#hop(callback)
  }

  /** Goes on to the next timer, if there is one within so many milliseconds, and fires it. */
  fireNext(withinMs: number): boolean {
    let next: Timer | undefined
    for (const timer of this.#timers) if (next === undefined || timer.due < next.due) next = timer
    if (next === undefined || next.due > this.#ms + withinMs) return false
    this.#timers.delete(next)
    this.#ms = Math.max(this.#ms, next.due)
    next.callback()
    return true
  }
}
