import type { Breaker } from './breaker.js'
import type { RecordSpace, Store } from './store.js'

/** The same store, with every call bounded in time and refused at once while the store is known to be down. */
export function guardStore(store: Store, breaker: Breaker): Store {
  function guarded<T>(call: () => Promise<T>): Promise<T> {
    return breaker.isOpen ? Promise.reject(breaker.refusal()) : breaker.run(call)
  }
  const { records } = store
  const guardedRecords: RecordSpace = {
    get: (key) => guarded(() => records.get(key)),
    put: (write) => guarded(() => records.put(write)),
    delete: (key, ifVersion) => guarded(() => records.delete(key, ifVersion)),
    list: (prefix, page) => guarded(() => records.list(prefix, page)),
  }
  const guardedStore: Store = {
    name: store.name,
    // Read again each time, as some stores know it only once they are connected.
    get durability() {
      return store.durability
    },
    records: guardedRecords,
    start: (user) => store.start(user),
    close: () => store.close(),
    create: (operation) => guarded(() => store.create(operation)),
    find: (key) => guarded(() => store.find(key)),
    complete: (id, ending, written) => guarded(() => store.complete(id, ending, written)),
    progress: (id, event) => guarded(() => store.progress(id, event)),
    get: (id) => guarded(() => store.get(id)),
    leaseUnpublished: (request) => guarded(() => store.leaseUnpublished(request)),
    markPublished: (ids, token) => guarded(() => store.markPublished(ids, token)),
    sweep: (limit) => guarded(() => store.sweep(limit)),
    purge: (limit) => guarded(() => store.purge(limit)),
    check: () => store.check(),
  }
  return guardedStore
}
