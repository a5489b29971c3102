/**
 * Items in the order in which they came. Those that are in no more are known by a predicate and cut out in passing, so
 * that every step takes constant time on average. (A Map takes linear time to its oldest entry: it steps over the gaps.)
 */
export class Lane<T> {
  size = 0
  #items: T[] = []
  #head = 0
  readonly #isIn: (item: T) => boolean

  constructor(isIn: (item: T) => boolean) {
    this.#isIn = isIn
  }

  /** The oldest item that is in; those in front of it that are not are passed for good. */
  get first(): T | undefined {
    for (; this.#head < this.#items.length; this.#head += 1) {
      const item = this.#items[this.#head]
      if (item !== undefined && this.#isIn(item)) return item
    }
    return undefined
  }

  add(item: T): void {
    this.#items.push(item)
    this.size += 1
  }

  /** Counts one item out, for which the predicate no longer holds. */
  countOut(): void {
    this.size -= 1
    if (this.#items.length <= 2 * this.size + 64) return
    this.#items = this.#items.filter(this.#isIn)
    this.#head = 0
  }

  *[Symbol.iterator](): Generator<T> {
    for (const item of this.#items) if (this.#isIn(item)) yield item
  }
}

/** Something with a time, in milliseconds since the epoch, at which it falls due. */
export interface Due {
  readonly dueAt: number
  /** The lane that it is in, for the use of `Lanes` alone. */
  lane: unknown
}

/** Items that fall due. Those with one lifetime do so in the order in which they came, so each lifetime has a lane. */
export class Lanes<T extends Due> {
  readonly #lanes = new Map<number, Lane<T>>()

  add(item: T, lifetimeMs: number): void {
    let lane = this.#lanes.get(lifetimeMs)
    if (lane === undefined) {
      lane = this.#createLane()
      this.#lanes.set(lifetimeMs, lane)
    }
    item.lane = lane
    lane.add(item)
  }

  remove(item: T, lifetimeMs: number): void {
    const lane = this.#lanes.get(lifetimeMs)
    if (lane === undefined || item.lane !== lane) return
    item.lane = undefined
    lane.countOut()
    // A few empty lanes may stay for the next item; callers may choose lifetimes freely, so many may not.
    if (lane.size === 0 && this.#lanes.size > 16) this.#lanes.delete(lifetimeMs)
  }

  /** An item that is due. */
  due(now: number): T | undefined {
    for (const { first } of this.#lanes.values()) if (first !== undefined && first.dueAt <= now) return first
    return undefined
  }

  /** The item that came first. */
  oldest(): T | undefined {
    let oldest: T | undefined
    let came = Number.POSITIVE_INFINITY
    for (const [lifetimeMs, { first }] of this.#lanes) {
      if (first === undefined || first.dueAt - lifetimeMs >= came) continue
      oldest = first
      came = first.dueAt - lifetimeMs
    }
    return oldest
  }

  #createLane(): Lane<T> {
    const lane: Lane<T> = new Lane((item) => item.lane === lane)
    return lane
  }
}
