import type { Clock } from '../core/clock.js'

/** How long to wait, and what ends the wait before. */
export interface WaitLimits {
  readonly waitMs: number
  /** How often to look without being told, where another instance may have made the change. */
  readonly pollMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Those who wait for a key to change. */
export class Waits {
  readonly #clock: Clock
  readonly #sleepers = new Map<string, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many wait. */
  get size(): number {
    return [...this.#sleepers.values()].reduce((sum, { size }) => sum + size, 0)
  }

  /** Tells those who wait that the key has changed. */
  wake(key: string): void {
    for (const wake of this.#sleepers.get(key) ?? []) wake()
  }

  /**
   * Looks again after every change of the key, until it finds something or time is up.
   * @throws the reason of the signal.
   */
  async until(key: string, found: () => Promise<boolean>, { waitMs, pollMs, signal }: WaitLimits): Promise<boolean> {
    const until = this.#clock.monotonic() + waitMs
    for (;;) {
      signal?.throwIfAborted()
      // Registered before it looks: a change in between is seen by one of the two.
      const sleep = this.#sleep(key, signal)
      try {
        if (await found()) return true
        const leftMs = until - this.#clock.monotonic()
        if (leftMs <= 0) return false
        await sleep.during(Math.min(leftMs, pollMs ?? leftMs))
      } finally {
        sleep.end()
      }
    }
  }

  #sleep(key: string, signal: AbortSignal | undefined) {
    let wake = (): void => {}
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    const sleepers = this.#sleepers.get(key) ?? new Set()
    this.#sleepers.set(key, sleepers.add(wake))
    signal?.addEventListener('abort', wake)
    let cancel = (): void => {}
    return {
      during: (ms: number) => {
        cancel = this.#clock.setTimer(wake, ms)
        return woken
      },
      end: () => {
        cancel()
        signal?.removeEventListener('abort', wake)
        sleepers.delete(wake)
        if (sleepers.size === 0 && this.#sleepers.get(key) === sleepers) this.#sleepers.delete(key)
      },
    }
  }
}
