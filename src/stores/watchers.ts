import { isEnded, type Operation } from '../core/operation.js'
import type { ChangeListener } from '../core/store.js'

/** The most operations that are looked after where changes may go unannounced; the oldest are let go of. */
const TRACKED = 20_000
const BATCH = 1_000

/** How an operation stands now. */
export interface Seen {
  readonly id: string
  readonly version: number
  readonly state: string
}

/**
 * Tells listeners of changes: those made through this store at once, those of other instances as they are announced.
 * What nobody announced it asks for: the running operations that came through this store.
 */
export class Watchers {
  readonly #find: (ids: readonly string[]) => Promise<readonly Seen[]>
  #listeners: readonly ChangeListener[] = []
  /** Versions of operations that were running when last seen. */
  readonly #running = new Map<string, number>()

  /** `find` gives those of some operations that are still there. */
  constructor(find: (ids: readonly string[]) => Promise<readonly Seen[]>) {
    this.#find = find
  }

  get isWatched(): boolean {
    return this.#listeners.length > 0
  }

  add(listener: ChangeListener): () => void {
    // Its own function, so that a listener may watch twice, and end each watch by itself.
    const entry: ChangeListener = (id, operation) => listener(id, operation)
    this.#listeners = [...this.#listeners, entry]
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== entry)
      if (!this.isWatched) this.#running.clear()
    }
  }

  /** Ends all watching. */
  clear(): void {
    this.#listeners = []
    this.#running.clear()
  }

  /** An operation as it was read or made. */
  see(operation: Operation): void {
    if (!this.isWatched) return
    if (isEnded(operation)) this.#running.delete(operation.id)
    else this.#running.set(operation.id, operation.version)
    if (this.#running.size <= TRACKED) return
    const [oldest] = this.#running.keys()
    if (oldest !== undefined) this.#running.delete(oldest)
  }

  /** Something changed, by this store where the operation is given. */
  tell(id: string, operation?: Operation): void {
    if (operation !== undefined) this.see(operation)
    for (const listener of this.#listeners) {
      try {
        listener(id, operation)
      } catch {
        // A listener's trouble is its own.
      }
    }
  }

  /** Looks for changes that nobody announced. */
  async ask(): Promise<void> {
    const ids = [...this.#running.keys()]
    for (let at = 0; at < ids.length; at += BATCH) {
      const asked = ids.slice(at, at + BATCH)
      const found = new Map((await this.#find(asked)).map((seen) => [seen.id, seen]))
      for (const id of asked) this.#compare(id, found.get(id))
    }
  }

  #compare(id: string, seen: Seen | undefined): void {
    const known = this.#running.get(id)
    if (known === undefined || (seen?.state === 'running' && seen.version <= known)) return
    if (seen?.state === 'running') this.#running.set(id, seen.version)
    else this.#running.delete(id)
    this.tell(id)
  }
}
