import { GatewayError } from './errors.js'
import { begin, isEnded, type Operation, settle } from './operation.js'
import type { Store } from './store.js'

/** A store that forgets: what `store: 'none'` uses, so that one rule decides how operations end, kept or not. */
export interface TransientStore extends Store {
  forget(id: string): void
}

/** Makes a store that knows an operation only while somebody waits for it. */
export function createTransientStore(now: () => number): TransientStore {
  const operations = new Map<string, Operation>()
  const refuse = async () => {
    throw new GatewayError('ERR_CONFIG', "A gateway with store: 'none' keeps no records; give it a store.")
  }
  return {
    name: 'none',
    durability: { class: 'process' },
    records: { get: refuse, put: refuse, delete: refuse, list: refuse },
    start: async () => {},
    close: async () => operations.clear(),
    async create(init) {
      // Nobody will publish its request again.
      const operation = begin(init, now(), false)
      operations.set(init.id, operation)
      return { created: true, operation }
    },
    find: async () => undefined,
    async complete(id, ending) {
      const operation = operations.get(id)
      if (operation === undefined) return undefined
      const settled = settle(operation, ending, now())
      if (isEnded(settled.operation)) operations.delete(id)
      return settled
    },
    progress: async () => undefined,
    get: async (id) => operations.get(id),
    leaseUnpublished: async () => ({ token: 0, operations: [] }),
    markPublished: async () => {},
    sweep: async () => [],
    check: async () => {},
    forget: (id) => void operations.delete(id),
  }
}
