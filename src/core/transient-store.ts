import { GatewayError } from './errors.js'
import { begin, isEnded, settle } from './operation.js'
import { Running } from './running.js'
import type { Store } from './store.js'

/** A store that forgets: what `store: 'none'` uses, so that one rule decides how operations end, kept or not. */
export interface TransientStore extends Store {
  forget(id: string): void
}

/** Makes a store that knows an operation only while somebody waits for it. */
export function createTransientStore(now: () => number, running = new Running()): TransientStore {
  const forget = (id: string) => {
    const entry = running.get(id)
    if (entry?.kept === undefined) return
    entry.kept = undefined
    running.leave(id, entry)
  }
  const refuse = async () => {
    throw new GatewayError('ERR_CONFIG', "A gateway with store: 'none' keeps no records; give it a store.")
  }
  return {
    name: 'none',
    durability: { class: 'process' },
    records: { get: refuse, put: refuse, delete: refuse, list: refuse },
    start: async () => {},
    close: async () => {
      for (const [id] of running.entries()) forget(id)
    },
    async create(init) {
      // Nobody will publish its request again.
      const operation = begin(init, now(), false)
      running.enter(init.id).kept = operation
      return { created: true, operation }
    },
    find: async () => undefined,
    async complete(id, ending) {
      const operation = running.get(id)?.kept
      if (operation === undefined) return undefined
      const settled = settle(operation, ending, now())
      if (isEnded(settled.operation)) forget(id)
      return settled
    },
    progress: async () => undefined,
    get: async (id) => running.get(id)?.kept,
    leaseUnpublished: async () => ({ token: 0, operations: [] }),
    markPublished: async () => {},
    sweep: async () => [],
    purge: async () => false,
    check: async () => {},
    forget,
  }
}
