import type { Ending, NewOperation, Operation, Settled, Store } from '../../../src/index.js'

/** A store whose later endings overwrite the first. */
export function lastWriteWins(store: Store): Store {
  const overwritten = new Map<string, Operation>()
  const latest = (operation: Operation) => overwritten.get(operation.id) ?? operation
  return {
    ...bound(store),
    async create(init) {
      const { created, operation } = await store.create(init)
      return { created, operation: latest(operation) }
    },
    async get(id) {
      const operation = await store.get(id)
      return operation && latest(operation)
    },
    async complete(id, ending) {
      const settled = await store.complete(id, ending)
      if (settled === undefined || settled.verdict === 'won') return settled
      const operation = overwrite(latest(settled.operation), ending)
      overwritten.set(id, operation)
      return { verdict: 'won', operation }
    },
  }
}

function overwrite(operation: Operation, ending: Ending): Operation {
  const result = 'result' in ending ? ending.result : undefined
  const error = 'error' in ending ? ending.error : undefined
  return { ...operation, version: operation.version + 1, state: ending.state, result, error }
}

/** A store that looks whether a key is free, and takes it only afterwards. */
export function checkThenAct(store: Store, pause: () => Promise<void>): Store {
  const holders = new Map<string, string>()
  return {
    ...bound(store),
    async create(init) {
      const key = init.idempotency?.key ?? init.id
      const holder = await store.get(holders.get(key) ?? '')
      if (holder !== undefined && holder.id !== init.id) return { created: false, operation: holder }
      await pause()
      holders.set(key, init.id)
      return store.create(withOwnKey(init))
    },
  }
}

function withOwnKey(init: NewOperation): NewOperation {
  const { idempotency } = init
  return idempotency === undefined ? init : { ...init, idempotency: { ...idempotency, key: init.id } }
}

/** A store that lends out operations that have ended, with the request events that it ought to have dropped. */
export function lendsEnded(store: Store): Store {
  const created = new Map<string, NewOperation>()
  return {
    ...bound(store),
    create(init) {
      created.set(init.id, init)
      return store.create(init)
    },
    async leaseUnpublished(request) {
      const { token, operations } = await store.leaseUnpublished(request)
      const all = await Promise.all(
        [...created.values()].map(async (init) => reviveRequest(await store.get(init.id), init)),
      )
      const ended = all.filter((operation) => operation !== undefined && operation.state !== 'running')
      return { token, operations: [...operations, ...(ended as Operation[])] }
    },
  }
}

function reviveRequest(operation: Operation | undefined, { request }: NewOperation): Operation | undefined {
  return operation && { ...operation, request }
}

/** A store in which noting that a request was published writes back the operation as it was then. */
export function markRevives(store: Store): Store {
  const revived = new Map<string, Operation>()
  return {
    ...bound(store),
    async markPublished(ids) {
      for (const id of ids) {
        const operation = await store.get(id)
        if (operation !== undefined) revived.set(id, { ...operation, state: 'running', published: true })
      }
    },
    get: async (id) => revived.get(id) ?? store.get(id),
  }
}

/** A store that never gives the relay anything to do. */
export function lendsNothing(store: Store): Store {
  return { ...bound(store), leaseUnpublished: async () => ({ token: 0, operations: [] }) }
}

/** The methods of a store, callable without it. */
function bound(store: Store): Store {
  return {
    ...{ name: store.name, durability: store.durability, records: store.records },
    start: () => store.start(),
    close: () => store.close(),
    check: () => store.check(),
    create: (init) => store.create(init),
    find: (key) => store.find(key),
    complete: (id, ending, records): Promise<Settled | undefined> => store.complete(id, ending, records),
    progress: (id, event) => store.progress(id, event),
    get: (id) => store.get(id),
    leaseUnpublished: (request) => store.leaseUnpublished(request),
    markPublished: (ids, token) => store.markPublished(ids, token),
    sweep: (limit) => store.sweep(limit),
    purge: (limit) => store.purge(limit),
    ...(store.watch && { watch: (listener) => store.watch?.(listener) ?? Promise.reject(new Error('no watch')) }),
  }
}
