import type { Store } from '../../../src/index.js'

/** What happens around the calls of a store. */
export interface Passage {
  /** A call, or its answer, on its way; never resolves when the caller has crashed. */
  travel(label: string): Promise<void>
  /** Called when the store has carried out a call. */
  done(method: keyof Store, value: unknown): void
  /** Whether somebody has deleted the operation behind everybody's back. */
  isDeleted(id: string): boolean
  /** Throws for calls that are to fail on their way. */
  fail(method: keyof Store): void
}

type Call = (...args: never[]) => Promise<unknown>

/** A gateway's view of a store: every call and every answer is a step of its own. Changes are not announced. */
export function scheduledStore(store: Store, passage: Passage): Store {
  const wrap = <F extends Call>(method: keyof Store, call: F): F => {
    const wrapped = async (...args: Parameters<F>): Promise<unknown> => {
      await passage.travel(`${method} asked`)
      passage.fail(method)
      const value = await call(...args)
      passage.done(method, value)
      await passage.travel(`${method} answered`)
      return value
    }
    return wrapped as F
  }
  return {
    ...{ name: store.name, durability: store.durability, records: store.records },
    start: () => store.start(),
    close: () => store.close(),
    create: wrap('create', (operation) => store.create(operation)),
    find: wrap('find', (key) => store.find(key)),
    complete: wrap('complete', async (id, ending, records) => {
      return passage.isDeleted(id) ? undefined : store.complete(id, ending, records)
    }),
    progress: wrap('progress', (id, event) => store.progress(id, event)),
    get: wrap('get', async (id) => (passage.isDeleted(id) ? undefined : store.get(id))),
    leaseUnpublished: wrap('leaseUnpublished', (request) => store.leaseUnpublished(request)),
    markPublished: wrap('markPublished', (ids, token) => store.markPublished(ids, token)),
    sweep: wrap('sweep', (limit) => store.sweep(limit)),
    purge: wrap('purge', (limit) => store.purge(limit)),
    check: wrap('check', () => store.check()),
  }
}
