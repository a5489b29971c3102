import { type EventMessage, textOf } from './event.js'
import type { GatewayParts } from './parts.js'
import type { StoredRecord } from './store.js'

const MAX_VALUES = 10_000
const PAGE = 500
const DIGITS = 15

/**
 * The values of operations that are answered by several of them. They live in the store's records, so that whichever
 * instance sees a value or the end, the list is the same. A value that is seen twice is kept once.
 */
export class ValueLists {
  readonly #parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle'>

  constructor(parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle'>) {
    this.#parts = parts
  }

  /** Keeps a value; its key puts it in the order in which the worker has sent them, as far as times tell. */
  async add(id: string, message: EventMessage): Promise<void> {
    const { store, settings } = this.#parts
    const key = `${prefixOf(id)}${String(message.time).padStart(DIGITS, '0')}/${message.id}`
    await store.records.put({ key, value: message.body, ifVersion: 0, ttlMs: settings.operationTtlMs })
  }

  /** The values as a JSON array, each as it came; undefined when there are more than 10,000. */
  async collect(id: string): Promise<Uint8Array | undefined> {
    const records = await this.#all(id)
    if (records.length > MAX_VALUES) return undefined
    return Buffer.from(`[${records.map(({ value }) => textOf(value)).join(',')}]`)
  }

  /** Drops the values of an operation that has ended. What cannot be dropped goes when its time is over. */
  async drop(id: string): Promise<void> {
    try {
      const records = await this.#all(id)
      await Promise.all(records.map(({ key }) => this.#parts.store.records.delete(key)))
    } catch (error) {
      this.#parts.lifecycle.error(error)
    }
  }

  async #all(id: string) {
    const { records } = this.#parts.store
    const all: StoredRecord[] = []
    let page: readonly StoredRecord[]
    do {
      const after = all.at(-1)?.key
      page = await records.list(prefixOf(id), after === undefined ? { limit: PAGE } : { after, limit: PAGE })
      all.push(...page)
    } while (page.length === PAGE && all.length <= MAX_VALUES)
    return all
  }
}

function prefixOf(id: string): string {
  return `values/${id}/`
}
