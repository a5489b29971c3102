import type { Clock } from '../../core/clock.js'
import { within } from '../../core/in-time.js'

/** Settles like a call to a broker, or rejects after `ms` and leaves it behind. */
export function answered<T>(call: Promise<T>, ms: number): Promise<T> {
  return within(call, { ms, late: () => new Error(`No broker has answered for ${ms} ms.`) })
}

/** Waits. */
export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(resolve, ms))
}
