import fc from 'fast-check'
import { type EventMessage, type MessageHandler, memoryStore, type RecordSpace, type Transport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import * as sources from '../../src/read-model/index.js'
import { eventOf, numbered, type User } from '../unit/read-model/support.js'
import { loadMutant, type Patch } from './support/mutants.js'
import { StepClock } from './support/step-clock.js'

type Module = typeof sources

const RUNS = process.env.DEEP === '1' ? 20_000 : 1000
const MUTANT_RUNS = 2000

/** What a run must not see; other errors are faults of the test. */
class Violation extends Error {}

/** Instances of one shared copy, whose calls of the store arrive in an order that fast-check chooses. */
async function openInstances(module: Module, scheduler: fc.Scheduler, count: number) {
  const clock = new StepClock((callback) => void scheduler.schedule(Promise.resolve(), 'hop').then(callback))
  const store = memoryStore({ clock })
  await store.start()
  // The past has been read already.
  await store.records.put({ key: 'read-model/users/1/built', value: new Uint8Array(0) })
  let isStarting = true
  const step = async (label: string) => {
    if (!isStarting) await scheduler.schedule(Promise.resolve(), label)
  }
  const wrap =
    <Args extends unknown[], T>(label: string, call: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      await step(`${label} asked`)
      const value = await call(...args)
      await step(`${label} answered`)
      return value
    }
  const { records } = store
  const scheduled: RecordSpace = {
    get: wrap('get', (key) => records.get(key)),
    put: wrap('put', (write) => records.put(write)),
    delete: wrap('delete', (key, version) => records.delete(key, version)),
    list: wrap('list', (prefix, page) => records.list(prefix, page)),
  }
  const handlers: MessageHandler[] = []
  const transport = {
    start: async () => {},
    close: async () => {},
    subscribe: async (_: unknown, handler: MessageHandler) => {
      handlers.push(handler)
      return { caughtUp: Promise.resolve(), close: async () => {} }
    },
  } as unknown as Transport
  const models = Array.from({ length: count }, () =>
    module.createReadModel<User>({
      ...{ transport, projection: numbered(), copy: 'shared', clock, storeTimeoutMs: 60_000 },
      store: { records: scheduled, start: async () => {}, close: async () => {} },
    }),
  )
  for (const model of models) await model.start()
  isStarting = false
  /** As a broker does: what is not settled comes again, here or there. */
  const deliver = async (message: EventMessage, to: number): Promise<void> => {
    await step(`deliver ${message.id}`)
    const settled = await handlers[to % count]?.(message, { attempt: 1 }).catch(() => 'requeue')
    if (settled === 'requeue') await deliver(message, to + 1)
  }
  const row = async () => {
    const record = await records.get('read-model/users/1/row/a')
    return record && (JSON.parse(Buffer.from(record.value).toString()) as { state: User; waiting: unknown[] })
  }
  return { clock, models, deliver, row }
}

interface Scenario {
  readonly title: string
  property(module: Module): fc.IAsyncPropertyWithHooks<unknown>
  readonly mutants: readonly { readonly name: string; readonly patches: readonly Patch[] }[]
}

const sharedRow: Scenario = {
  title: 'FM-G9 a row that two instances write has every event once, in their order',
  property: (module) =>
    fc.asyncProperty(fc.scheduler(), fc.array(fc.nat(), { minLength: 8, maxLength: 8 }), async (scheduler, places) => {
      const { clock, deliver, row } = await openInstances(module, scheduler, 2)
      const events = [1, 2, 3, 4].map((n) =>
        eventOf(n === 1 ? 'Created' : 'Renamed', { id: 'a', name: `${n}`, n }, { clock }),
      )
      // Each event comes twice.
      const sent = [...events, ...events].map((event, index) => deliver(event, places[index] ?? 0))
      await scheduler.waitIdle()
      await Promise.all(sent)
      const { state, waiting } = (await row()) ?? {}
      const names = state?.names.join()
      if (names !== '1,2,3,4' || waiting?.length !== 0) throw new Violation(`the row has ${names}`)
    }),
  mutants: [
    {
      name: 'a write without its condition',
      patches: [
        {
          file: 'src/read-model/shared-copy.ts',
          find: 'value: Buffer.from(encodeRow(row)), ifVersion }',
          replace: 'value: Buffer.from(encodeRow(row)) }',
        },
      ],
    },
    {
      name: 'an event that does not wait for its predecessor',
      patches: [
        {
          file: 'src/read-model/row.ts',
          find: 'sequence === row.sequence + 1 ||',
          replace: 'sequence > row.sequence ||',
        },
      ],
    },
    {
      name: 'an event that is not known when it comes again',
      patches: [
        {
          file: 'src/read-model/row.ts',
          find: 'if (row.seen.includes(event.id) || isBefore(row, reading)) return',
          replace: 'if (sequence === undefined) return',
        },
        {
          file: 'src/read-model/row.ts',
          find: 'sequence === row.sequence + 1 ||',
          replace: 'sequence <= row.sequence + 1 ||',
        },
      ],
    },
    {
      name: 'a lost race that is taken for a write',
      patches: [{ file: 'src/read-model/shared-copy.ts', find: 'if (isWritten) kept = made', replace: 'kept = made' }],
    },
  ],
}

const ownWrite: Scenario = {
  title: 'FM-G8 whoever waits for an event hears of it, whenever it comes',
  property: (module) =>
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const { clock, models, deliver } = await openInstances(module, scheduler, 1)
      const event = eventOf('Created', { id: 'a', name: 'Ada', n: 1 }, { clock })
      let seen: boolean | undefined
      void models[0]?.whenAt(event, { waitMs: 50_000 }).then((value) => {
        seen = value
      })
      void deliver(event, 0)
      await scheduler.waitIdle()
      // No timer has fired: it was told.
      if (seen !== true) throw new Violation('it was not told')
    }),
  mutants: [
    {
      name: 'looking before being registered',
      patches: [
        {
          file: 'src/read-model/waits.ts',
          find: 'const sleep = this.#sleep(key, signal)',
          replace: 'const isFound = await found(); const sleep = this.#sleep(key, signal)',
        },
        {
          file: 'src/read-model/waits.ts',
          find: 'if (await found()) return true',
          replace: 'if (isFound) return true',
        },
      ],
    },
  ],
}

describe.each([sharedRow, ownWrite].map((one) => [one.title, one] as const))('%s', (_title, { property, mutants }) => {
  it('holds in every interleaving', async () => {
    await fc.assert(property(sources), { numRuns: RUNS, endOnFailure: true })
  })

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
    'and is broken by: %s',
    async (_name, { patches }) => {
      const mutant = await loadMutant<Module>(patches, 'src/read-model/index.ts')
      const found = await fc.check(property(mutant), { numRuns: MUTANT_RUNS, endOnFailure: true })
      if (found.failed && !(found.errorInstance instanceof Violation)) throw found.errorInstance
      expect(found.failed, `no interleaving out of ${MUTANT_RUNS} has found this mutant`).toBe(true)
    },
  )
})
