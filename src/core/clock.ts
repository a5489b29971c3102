import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

/** All the time that the package knows; inject another one to decide it in tests. */
export interface Clock {
  /** Milliseconds since the epoch, for records that people read. */
  now(): number
  /** Milliseconds of a clock that never jumps, for deadlines. */
  monotonic(): number
  /** Calls back once after `ms`; the returned function cancels. Only work in the background lets the process end. */
  setTimer(callback: () => void, ms: number, isBackground?: boolean): () => void
  /** Calls back after the input that is already waiting has been read. */
  setImmediate(callback: () => void): void
  /** Watches how late the event loop runs; without it nobody notices when this process cannot keep up. */
  watchLoop?(): LoopWatch
}

/** How late the event loop runs. */
export interface LoopWatch {
  /** The median since the last call, in milliseconds: one long turn among many short ones is no stall. */
  read(): number
  close(): void
}

const LOOP_RESOLUTION_MS = 20

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(callback, ms, isBackground) {
    const timer = setTimeout(callback, ms)
    if (isBackground) timer.unref()
    return () => clearTimeout(timer)
  },
  setImmediate: (callback) => void setImmediate(callback),
  watchLoop() {
    const delays = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
    delays.enable()
    return {
      read() {
        const lateMs = delays.percentile(50) / 1e6 - LOOP_RESOLUTION_MS
        delays.reset()
        return lateMs
      },
      close: () => void delays.disable(),
    }
  },
}
