import type { Clock } from '../../../src/index.js'

interface Happening {
  readonly at: number
  readonly order: number
  readonly run: () => void
  isCanceled: boolean
}

/** Time that passes only when nothing is left to do at the present moment. Callbacks of one moment keep their order. */
export class VirtualTime implements Clock {
  readonly #heap: Happening[] = []
  #ms = 1_700_000_000_000
  #order = 0

  now(): number {
    return this.#ms
  }

  monotonic(): number {
    return this.#ms
  }

  setTimer(callback: () => void, ms: number): () => void {
    this.#order += 1
    const happening = { at: this.#ms + Math.max(ms, 0), order: this.#order, run: callback, isCanceled: false }
    push(this.#heap, happening)
    return () => {
      happening.isCanceled = true
    }
  }

  setImmediate(callback: () => void): void {
    this.setTimer(callback, 0)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.setTimer(resolve, ms))
  }

  /** Lets time pass until `isOver`, or for so long, and says whether it was over. */
  async pass(isOver: () => boolean, atMostMs: number): Promise<boolean> {
    const end = this.#ms + atMostMs
    while (!isOver()) {
      const [next] = this.#heap
      if (next === undefined || next.at > end) return false
      pop(this.#heap)
      if (next.isCanceled) continue
      this.#ms = next.at
      next.run()
      // One turn of the event loop runs everything that this has set off, in an order that is always the same.
      await new Promise((resolve) => setImmediate(resolve))
    }
    return true
  }
}

function isBefore(one: Happening, other: Happening): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

function push(heap: Happening[], happening: Happening): void {
  let at = heap.length
  while (at > 0) {
    const parent = heap[(at - 1) >> 1]
    if (parent === undefined || !isBefore(happening, parent)) break
    heap[at] = parent
    at = (at - 1) >> 1
  }
  heap[at] = happening
}

function pop(heap: Happening[]): Happening | undefined {
  const [first] = heap
  const last = heap.pop()
  if (last === undefined || last === first) return first
  let at = 0
  for (;;) {
    const left = heap[2 * at + 1]
    const right = heap[2 * at + 2]
    const isRight = left !== undefined && right !== undefined && isBefore(right, left)
    const child = isRight ? right : left
    if (child === undefined || !isBefore(child, last)) break
    heap[at] = child
    at = 2 * at + (isRight ? 2 : 1)
  }
  heap[at] = last
  return first
}
