import { isEnded, type Operation } from '../../core/operation.js'
import type { ChangeListener } from '../../core/store.js'
import type { Database } from './client.js'
import type { Names } from './names.js'

/** The most operations that are looked after without LISTEN; the oldest are let go of. */
const TRACKED = 20_000
const BATCH = 1_000

interface Seen {
  readonly id: string
  readonly version: number
  readonly state: string
}

/**
 * Tells listeners of changes: those made through this store at once, those of other instances as they are announced.
 * While nothing is announced, it asks for the running operations that came through this store.
 */
export class Changes {
  readonly #db: Database
  readonly #find: string
  #listeners: readonly ChangeListener[] = []
  /** Versions of operations that were running when last seen. */
  readonly #running = new Map<string, number>()

  constructor(db: Database, names: Names) {
    this.#db = db
    this.#find = `select o.id, o.version, o.state from ${names.operations} o
      where o.id in (select json_array_elements_text($1::text::json))`
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
      const rows = await this.#db.query<Seen>(this.#find, [JSON.stringify(asked)])
      const found = new Map(rows.map((row) => [row.id, row]))
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
