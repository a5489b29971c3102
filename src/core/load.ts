import type { Clock, LoopWatch } from './clock.js'

const EVERY_MS = 1000
/** Turns of the event loop that are this late, one after the other, keep nobody's deadline. */
const STALL_MS = 200

/** Whether this process keeps up: looked at once a second, whatever store and broker do meanwhile. */
export class Load {
  /** True while the event loop has been late for about a second. */
  isStalling = false
  readonly #clock: Clock
  #watch: LoopWatch | undefined
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  start(): void {
    this.#watch = this.#clock.watchLoop?.()
    if (this.#watch !== undefined) this.#look(this.#watch)
  }

  stop(): void {
    this.#cancelTimer?.()
    this.#watch?.close()
  }

  #look(watch: LoopWatch): void {
    const look = () => {
      this.isStalling = watch.read() > STALL_MS
      this.#look(watch)
    }
    this.#cancelTimer = this.#clock.setTimer(look, EVERY_MS, true)
  }
}
