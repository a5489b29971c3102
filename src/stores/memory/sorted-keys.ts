const CHUNK = 512

/** Keys in order, in chunks, so that adding and deleting move one chunk at most. */
export class SortedKeys {
  readonly #chunks: string[][] = [[]]

  add(key: string): void {
    const { index, chunk } = this.#find(key)
    chunk.splice(placeIn(chunk, key), 0, key)
    if (chunk.length > CHUNK) this.#chunks.splice(index + 1, 0, chunk.splice(CHUNK / 2))
  }

  /** Deletes a key that is there. */
  delete(key: string): void {
    const { index, chunk } = this.#find(key)
    chunk.splice(placeIn(chunk, key), 1)
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(index, 1)
  }

  /** All keys from this one on. */
  *from(key: string): Generator<string> {
    const { index, chunk } = this.#find(key)
    yield* chunk.slice(placeIn(chunk, key))
    for (const later of this.#chunks.slice(index + 1)) yield* later
  }

  /** The last chunk that begins at or before the key. */
  #find(key: string): { index: number; chunk: string[] } {
    const after = countWhile(this.#chunks.length, (index) => (this.#chunks[index]?.[0] ?? '') <= key)
    const index = Math.max(after - 1, 0)
    return { index, chunk: this.#chunks[index] ?? [] }
  }
}

function placeIn(chunk: readonly string[], key: string): number {
  return countWhile(chunk.length, (index) => (chunk[index] ?? '') < key)
}

/** How many of the first indexes have a property that all the later ones lack. */
function countWhile(length: number, holds: (index: number) => boolean): number {
  let low = 0
  for (let high = length; low < high; ) {
    const middle = (low + high) >>> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low
}
