import pTimeout from 'p-timeout'
import type { Clock } from './clock.js'

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
