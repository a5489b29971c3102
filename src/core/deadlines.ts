import type { Clock } from './clock.js'

const TICK_MS = 10
const SLOTS = 4096

/** One entry of the wheel; a link of its slot's ring. */
export class Deadline {
  previous: Deadline | undefined
  next: Deadline | undefined
  readonly dueTick: number
  readonly callback: () => void

  constructor(dueTick: number, callback: () => void) {
    this.dueTick = dueTick
    this.callback = callback
  }
}

/**
 * All deadlines of a gateway on one timer: a hashed wheel of 4,096 slots of 10 ms. Adding and cancelling cost the same
 * however many are pending, where a timer of its own per request costs 5 to 40 times as much.
 */
export class Deadlines {
  readonly #clock: Clock
  /** Each is made when it is first needed: a gateway is then cheap to make. */
  readonly #slots: (Deadline | undefined)[] = new Array(SLOTS)
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
    if (this.#size === 0) this.#tick = this.#now()
    const due = Math.max(Math.ceil((this.#clock.monotonic() + ms) / TICK_MS), this.#tick + 1)
    const deadline = new Deadline(due, callback)
    link(this.#slotOf(due), deadline)
    this.#size += 1
    if (due < this.#wakeTick) this.#sleepUntil(due)
    return deadline
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

  #slotOf(tick: number): Deadline {
    const index = tick % SLOTS
    const slot = this.#slots[index] ?? ring()
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
    const due = ring()
    for (let tick = Math.max(this.#tick + 1, now - SLOTS + 1); tick <= now; tick += 1) this.#collect(tick, now, due)
    this.#tick = now
    // After a stall of the event loop results may be waiting in the sockets: they are read before anybody is told
    // that time is up, and what they cancel is not called.
    if (due.next !== due) this.#clock.setImmediate(() => this.#fire(due))
    if (this.#size > 0) this.#sleepUntil(this.#nextTick())
  }

  #collect(tick: number, now: number, due: Deadline): void {
    const slot = this.#slots[tick % SLOTS]
    let deadline = slot?.next
    while (deadline !== undefined && deadline !== slot) {
      const { next } = deadline
      if (deadline.dueTick <= now) {
        unlink(deadline)
        link(due, deadline)
      }
      deadline = next
    }
  }

  #fire(due: Deadline): void {
    for (let deadline = due.next; deadline !== undefined && deadline !== due; deadline = due.next) {
      this.cancel(deadline)
      deadline.callback()
    }
  }

  /** The next tick whose slot holds anything; it may hold entries of a later round only, which cost one look. */
  #nextTick(): number {
    for (let tick = this.#tick + 1; tick < this.#tick + SLOTS; tick += 1) {
      const slot = this.#slots[tick % SLOTS]
      if (slot !== undefined && slot.next !== slot) return tick
    }
    return this.#tick + SLOTS
  }
}

function ring(): Deadline {
  const head = new Deadline(0, () => {})
  head.previous = head
  head.next = head
  return head
}

function link(head: Deadline, deadline: Deadline): void {
  const last = head.previous as Deadline
  deadline.previous = last
  deadline.next = head
  last.next = deadline
  head.previous = deadline
}

function unlink(deadline: Deadline): boolean {
  const { previous, next } = deadline
  if (previous === undefined || next === undefined) return false
  previous.next = next
  next.previous = previous
  deadline.previous = undefined
  deadline.next = undefined
  return true
}
