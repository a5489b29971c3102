/** A queue in which every step takes constant time, however long it gets (Array.shift moves every item). */
export class Fifo<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  /** The oldest item, which stays where it is. */
  get first(): T | undefined {
    return this.#items[this.#head]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Puts back what was just taken. */
  unshift(item: T): void {
    if (this.#head === 0) this.#items.unshift(item)
    else this.#items[--this.#head] = item
  }

  shift(): T | undefined {
    const item = this.first
    if (this.size === 0) return undefined
    this.#items[this.#head++] = undefined
    // Cutting off the used half now and then moves each item once, on average.
    if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** A copy of the items, the oldest first. */
  values(): T[] {
    return this.#items.slice(this.#head) as T[]
  }
}
