import type { Clock } from '../../core/clock.js'

/** Settles like the call, or rejects after `ms` and leaves it behind. */
export function within<T>(call: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`No broker has answered for ${ms} ms.`)), ms)
    call.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Waits. */
export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(resolve, ms))
}
