import type { Clock } from './clock.js'

const TICK_MS = 10
const SLOTS = 4096

/** One entry of the wheel, and a link of its slot's ring. What lives by the hundred thousand is its own deadline. */
export abstract class Deadline {
  before: Deadline | undefined
  after: Deadline | undefined
  dueTick = 0

  /** Called once, when time is up. */
  abstract onDue(): void
}

/** A deadline that calls a function. */
class Callback extends Deadline {
  readonly #callback: () => void

  constructor(callback: () => void) {
    super()
    this.#callback = callback
  }

  override onDue(): void {
    this.#callback()
  }
}

/** The head of a ring. */
class Ring extends Deadline {
  constructor() {
    super()
    this.before = this
    this.after = this
  }

  override onDue(): void {}
}

/**
 * All deadlines of a gateway on one timer: a hashed wheel of 4,096 slots of 10 ms. Adding and cancelling cost the same
 * however many are pending, where a timer of its own per request costs 5 to 40 times as much.
 */
export class Deadlines {
  readonly #clock: Clock
  /** Each is made when it is first needed: a gateway is then cheap to make. */
  readonly #slots: (Ring | undefined)[] = new Array(SLOTS)
  #size = 0
  #tick: number
  #wakeTick = Number.POSITIVE_INFINITY
  #cancelTimer: (() => void) | undefined
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#tick = this.#now()
  }

  /** How many are pending. */
  get size(): number {
    return this.#size
  }

  /** Calls back once, at the first tick after `ms`; never synchronously. */
  add(ms: number, callback: () => void): Deadline {
    const deadline = new Callback(callback)
    this.arm(deadline, ms)
    return deadline
  }

  /** The same for a deadline of the caller's, which must not be pending. */
  arm(deadline: Deadline, ms: number): void {
    if (this.#size === 0) this.#tick = this.#now()
    const due = Math.max(Math.ceil((this.#clock.monotonic() + ms) / TICK_MS), this.#tick + 1)
    deadline.dueTick = due
    link(this.#slotOf(due), deadline)
    this.#size += 1
    if (due < this.#wakeTick) this.#sleepUntil(due)
  }

  /** Takes a deadline back; also one that is due but has not been called yet. */
  cancel(deadline: Deadline): void {
    // The timer stays, also for the last one: with one request at a time it would be made anew for each of them.
    if (unlink(deadline)) this.#size -= 1
    if (this.#isClosed && this.#size === 0) this.#stop()
  }

  /** Lets go of the timer; what is still pending keeps it, so that nobody waits for ever. */
  close(): void {
    this.#isClosed = true
    if (this.#size === 0) this.#stop()
  }

  #stop(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#wakeTick = Number.POSITIVE_INFINITY
  }

  #now(): number {
    return Math.floor(this.#clock.monotonic() / TICK_MS)
  }

  #slotOf(tick: number): Ring {
    const index = tick % SLOTS
    const slot = this.#slots[index] ?? new Ring()
    this.#slots[index] = slot
    return slot
  }

  #sleepUntil(tick: number): void {
    this.#cancelTimer?.()
    this.#wakeTick = tick
    // Node fires a timer of more than 2^31 - 1 ms at once; a wheel that wakes too early turns on.
    const ms = Math.min(Math.max(1, tick * TICK_MS - this.#clock.monotonic()), SLOTS * TICK_MS)
    this.#cancelTimer = this.#clock.setTimer(() => this.#turn(), ms)
  }

  #turn(): void {
    this.#cancelTimer = undefined
    this.#wakeTick = Number.POSITIVE_INFINITY
    const now = this.#now()
    const due = new Ring()
    for (let tick = Math.max(this.#tick + 1, now - SLOTS + 1); tick <= now; tick += 1) this.#collect(tick, now, due)
    this.#tick = now
    // After a stall of the event loop results may be waiting in the sockets: they are read before anybody is told
    // that time is up, and what they cancel is not called.
    if (due.after !== due) this.#clock.setImmediate(() => this.#fire(due))
    if (this.#size > 0) this.#sleepUntil(this.#nextTick())
  }

  #collect(tick: number, now: number, due: Ring): void {
    const slot = this.#slots[tick % SLOTS]
    let deadline = slot?.after
    while (deadline !== undefined && deadline !== slot) {
      const { after } = deadline
      if (deadline.dueTick <= now) {
        unlink(deadline)
        link(due, deadline)
      }
      deadline = after
    }
  }

  #fire(due: Ring): void {
    for (let deadline = due.after; deadline !== undefined && deadline !== due; deadline = due.after) {
      this.cancel(deadline)
      deadline.onDue()
    }
  }

  /** The next tick whose slot holds anything; it may hold entries of a later round only, which cost one look. */
  #nextTick(): number {
    for (let tick = this.#tick + 1; tick < this.#tick + SLOTS; tick += 1) {
      const slot = this.#slots[tick % SLOTS]
      if (slot !== undefined && slot.after !== slot) return tick
    }
    return this.#tick + SLOTS
  }
}

function link(ring: Ring, deadline: Deadline): void {
  const last = ring.before as Deadline
  deadline.before = last
  deadline.after = ring
  last.after = deadline
  ring.before = deadline
}

function unlink(deadline: Deadline): boolean {
  const { before, after } = deadline
  if (before === undefined || after === undefined) return false
  before.after = after
  after.before = before
  deadline.before = undefined
  deadline.after = undefined
  return true
}
