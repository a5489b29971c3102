interface Entry<Value> {
  resolve(value: Value | undefined): void
  reject(error: unknown): void
  readonly timer: NodeJS.Timeout
}

/** What a hand-written gateway keeps of its requests: a map of promises, and a timer for each. */
export class Waiting<Value> {
  readonly #entries = new Map<string, Entry<Value>>()

  /** Resolves to what comes under this id, or to undefined when nothing does in time. */
  for(id: string, ms: number): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#entries.delete(id)
        resolve(undefined)
      }, ms)
      this.#entries.set(id, { resolve, reject, timer })
    })
  }

  has(id: string): boolean {
    return this.#entries.has(id)
  }

  resolve(id: string, value: Value): void {
    this.#take(id)?.resolve(value)
  }

  reject(id: string, error: unknown): void {
    this.#take(id)?.reject(error)
  }

  #take(id: string): Entry<Value> | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    this.#entries.delete(id)
    clearTimeout(entry.timer)
    return entry
  }
}
