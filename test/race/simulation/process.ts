import type { Clock, Settlement } from '../../../src/index.js'
import type { VirtualTime } from './virtual-time.js'

const NEVER = new Promise<never>(() => {})

/**
 * A process that can crash: then its timers stop, what it asked for is never answered, and what it had not settled goes
 * back. It can also stand still for a time, as if stopped by a debugger: then everything reaches it late.
 */
export class SimProcess {
  readonly name: string
  /** What the process sees of time; its wall clock may be wrong. */
  readonly clock: Clock
  readonly #time: VirtualTime
  readonly #timers = new Set<() => void>()
  readonly #unsettled = new Set<(settlement: Settlement) => void>()
  readonly #atEnd = new Set<() => void>()
  #isDead = false
  #stillUntil = 0
  readonly #still: { readonly from: number; readonly until: number }[] = []

  constructor(name: string, time: VirtualTime, skewMs: number) {
    this.name = name
    this.#time = time
    this.clock = {
      now: () => time.now() + skewMs,
      monotonic: () => time.monotonic(),
      setTimer: (callback, ms) => this.#setTimer(callback, ms),
      setImmediate: (callback) => void this.#setTimer(callback, 0),
    }
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** How long it has stood still since a moment. */
  stillSince(moment: number): number {
    const now = this.#time.now()
    const overlap = ({ from, until }: { from: number; until: number }) => Math.min(until, now) - Math.max(from, moment)
    return this.#still.reduce((sum, stretch) => sum + Math.max(overlap(stretch), 0), 0)
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** Something of this process travels for so long; it never arrives when the process has crashed. */
  async travel(ms: number): Promise<void> {
    await this.#time.sleep(ms)
    while (this.#time.now() < this.#stillUntil) await this.#time.sleep(this.#stillUntil - this.#time.now())
    if (this.#isDead) await NEVER
  }

  standStill(ms: number): void {
    const from = this.#time.now()
    this.#stillUntil = from + ms
    this.#still.push({ from, until: from + ms })
  }

  /** A message that this process has in hand until it says what became of it. */
  hold(handle: () => Promise<Settlement | undefined>): Promise<Settlement> {
    return new Promise((resolve) => {
      const settle = (settlement: Settlement) => {
        this.#unsettled.delete(settle)
        resolve(settlement)
      }
      this.#unsettled.add(settle)
      void handle().then(
        (settlement) => settle(settlement ?? 'ack'),
        () => settle('requeue'),
      )
    })
  }

  /** The value, or an error when the process crashes before it is there, as a client of the process would see it. */
  whileAlive<T>(value: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cut = () => reject(new ConnectionLost())
      if (this.#isDead) return cut()
      this.#atEnd.add(cut)
      const done = () => void this.#atEnd.delete(cut)
      void value.then(done, done)
      value.then(resolve, reject)
    })
  }

  crash(): void {
    this.#isDead = true
    for (const cancel of this.#timers) cancel()
    for (const settle of [...this.#unsettled]) settle('requeue')
    for (const listener of [...this.#atEnd]) listener()
  }

  /** Calls back when the process crashes. */
  onCrash(listener: () => void): void {
    this.#atEnd.add(listener)
  }

  #setTimer(callback: () => void, ms: number): () => void {
    const fire = () => {
      const leftMs = this.#stillUntil - this.#time.now()
      if (leftMs > 0) {
        stop = this.#time.setTimer(fire, leftMs)
        return
      }
      this.#timers.delete(cancel)
      callback()
    }
    let stop = this.#time.setTimer(fire, ms)
    const cancel = () => {
      this.#timers.delete(cancel)
      stop()
    }
    this.#timers.add(cancel)
    return cancel
  }
}

/** What a client sees when the process crashes that it was talking to. */
export class ConnectionLost extends Error {}
