import pTimeout from 'p-timeout'
import { type Clock, systemClock } from './clock.js'

/** Waits for a step of a shutdown or a start, but not longer than `ms`; resolves either way, rejects with the step. */
export async function inTime(step: Promise<unknown>, ms: number, clock: Clock): Promise<void> {
  const cancels = new Map<number, () => void>()
  const customTimers = {
    setTimeout: (callback: () => void, delay: number) => {
      cancels.set(cancels.size, clock.setTimer(callback, delay))
      return cancels.size - 1
    },
    clearTimeout: (handle: number) => cancels.get(handle)?.(),
  }
  await pTimeout(step, { milliseconds: ms, fallback: () => {}, customTimers: customTimers as never })
}

/** How long a call is waited for. */
export interface Limit {
  readonly ms: number
  /** What is thrown then. */
  late(): Error
  readonly clock?: Clock
}

/** Settles like a call, but not later than its limit: what the call comes to after that is passed over. */
export function within<T>(call: Promise<T>, { ms, late, clock = systemClock }: Limit): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(() => reject(late()), ms)
    call.then(resolve, reject).finally(cancel)
  })
}
