import type { RecordSpace, Store, Transport } from 'respond-async'
import { createReadModel, defineProjection, type ReadModelOptions } from 'respond-async/read-model'
import { systemClock } from '../../src/core/clock.js'
import { toMessage } from '../../src/core/event.js'

/** Each state is the list of all events of its key, so that one too many, or out of order, shows. */
type Numbers = readonly number[]

const projection = defineProjection<{ Done: { id: string; n: number } }, Numbers>({
  name: 'things',
  version: 1,
  key: ({ data }) => data.id,
  on: { Done: (state = [], { data }) => [...state, data.n] },
})

/** What a shared copy is made on; each call makes another one, for another instance. */
export interface Surroundings {
  connect(): Transport
  openStore(): Promise<Store>
}

/** A writer of numbered events, and instances that share a copy of them. */
export async function openSharedCopies({ connect, openStore }: Surroundings) {
  const ends: (() => Promise<unknown>)[] = []
  const publisher = connect()
  await publisher.start()
  ends.push(() => publisher.close())
  let count = 0
  const publish = async (many: number, id = 'a'): Promise<void> => {
    for (let done = 0; done < many; done += 1) {
      count += 1
      const message = toMessage({ type: 'Done', source: 'test', key: id, data: { id, n: count } }, systemClock)
      await publisher.publish(message, { channel: 'results' })
    }
  }
  /** An instance, which may be killed: nothing that it asks of the store is done any more. */
  const open = async (more: Partial<ReadModelOptions<Numbers>> = {}, onPut = async (_key: string) => {}) => {
    const store = await openStore()
    let isAlive = true
    const asLongAsAlive = <T>(call: () => Promise<T>): Promise<T> => (isAlive ? call() : new Promise(() => {}))
    const records: RecordSpace = {
      get: (key) => asLongAsAlive(() => store.records.get(key)),
      list: (prefix, page) => asLongAsAlive(() => store.records.list(prefix, page)),
      delete: (key, version) => asLongAsAlive(() => store.records.delete(key, version)),
      put: (write) =>
        asLongAsAlive(async () => {
          await onPut(write.key)
          return asLongAsAlive(() => store.records.put(write))
        }),
    }
    const mortal = { records, start: store.start.bind(store), close: store.close.bind(store) }
    const model = createReadModel<Numbers>({ transport: connect(), store: mortal, projection, copy: 'shared', ...more })
    const errors: string[] = []
    model.on('error', ({ code }) => errors.push(code))
    ends.push(() => model.close())
    const kill = () => {
      isAlive = false
    }
    return { model, errors, kill, numbers: async (id = 'a') => (await model.get(id))?.state }
  }
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end()
  }
  return { open, publish, close, upTo: (last: number) => Array.from({ length: last }, (_, index) => index + 1) }
}
