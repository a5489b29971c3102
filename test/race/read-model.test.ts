import fc from 'fast-check'
import {
  type EventMessage,
  type MessageHandler,
  memoryStore,
  type RecordSpace,
  type Subscription,
  type Transport,
} from 'respond-async'
import { beforeAll, describe, expect, it } from 'vitest'
import type * as sources from '../../src/read-model/index.js'
import type { SharedState } from '../../src/read-model/shared-state.js'
import { eventOf, type User, usersProjection } from '../unit/read-model/support.js'
import { loadMutant, type Patch } from './support/mutants.js'
import { StepClock } from './support/step-clock.js'

type Module = typeof sources

const RUNS = process.env.DEEP === '1' ? 20_000 : 1000
const MUTANT_RUNS = 20_000
const LEASE_MS = 180_000

/** The module with rows that know two ids: six events are then as many more as a hundred would be. */
const FEW_IDS: Patch = { file: 'src/read-model/row.ts', find: 'SEEN_LIMIT = 32', replace: 'SEEN_LIMIT = 2' }

/** What a run must not see; other errors are faults of the test. */
class Violation extends Error {}

/** A clock that is told when so much time has passed that whoever looks finds a lease at its end. */
class LeapClock extends StepClock {
  #leap = 0

  override monotonic(): number {
    return super.monotonic() + this.#leap
  }

  leap(ms: number): void {
    this.#leap += ms
  }
}

/** A log that is read as a transport does it: in order, one event at a time, and again until it is taken. */
function createLog(step: (label: string) => Promise<void>) {
  const events: EventMessage[] = []
  const subscribe = async ({ reading }: Subscription, handler: MessageHandler) => {
    let isOpen = true
    let next = reading.kind === 'replay' && typeof reading.from === 'object' ? Number(reading.from.after) + 1 : 0
    const read = async (): Promise<void> => {
      while (isOpen) {
        const [message, position] = [events[next], `${next}`]
        if (message === undefined) return
        await step(`deliver ${position}`)
        if (!isOpen) return
        await handler(message, { attempt: 1, position }).then(
          () => {
            next += 1
          },
          () => {},
        )
      }
    }
    let reader = read()
    wakes.push(() => {
      reader = reader.then(read)
    })
    const close = async () => {
      isOpen = false
      await reader
    }
    return { caughtUp: Promise.resolve(), close }
  }
  const wakes: (() => void)[] = []
  const publish = (...messages: EventMessage[]) => {
    events.push(...messages)
    for (const wake of wakes) wake()
  }
  const transport = { start: async () => {}, close: async () => {}, subscribe } as unknown as Transport
  return { transport, publish }
}

/** How many there are, and at which of its steps the first one stands still for a long time. */
interface Instances {
  readonly count: number
  readonly stop?: number
}

/** Instances of one shared copy, whose calls of the store arrive in an order that fast-check chooses. */
async function openInstances(module: Module, scheduler: fc.Scheduler, { count, stop }: Instances) {
  const hop = (callback: () => void) => void scheduler.schedule(Promise.resolve(), 'hop').then(callback)
  const store = memoryStore({ clock: new StepClock((callback) => callback()) })
  await store.start()
  let isStarting = true
  const step = async (label: string) => {
    if (!isStarting) await scheduler.schedule(Promise.resolve(), label)
  }
  let resume = () => {}
  const stopped = new Promise<void>((resolve) => {
    resume = resolve
  })
  let steps = 0
  const stepOf = async (index: number, label: string) => {
    await step(label)
    if (isStarting || index > 0) return
    steps += 1
    if (steps - 1 === stop) await stopped
  }
  const { records } = store
  const scheduled = (index: number): RecordSpace => {
    const wrap =
      <Args extends unknown[], T>(label: string, call: (...args: Args) => Promise<T>) =>
      async (...args: Args): Promise<T> => {
        await stepOf(index, `${label} asked`)
        const value = await call(...args)
        await stepOf(index, `${label} answered`)
        return value
      }
    return {
      get: wrap('get', (key) => records.get(key)),
      put: wrap('put', (write) => records.put(write)),
      delete: wrap('delete', (key, version) => records.delete(key, version)),
      list: wrap('list', (prefix, page) => records.list(prefix, page)),
    }
  }
  const { transport, publish } = createLog(step)
  const clocks = Array.from({ length: count }, () => new LeapClock(hop))
  const models = clocks.map((clock, index) =>
    module.createReadModel<User>({
      ...{ transport, projection: usersProjection(), copy: 'shared', clock, storeTimeoutMs: LEASE_MS / 3 },
      store: { records: scheduled(index), start: async () => {}, close: async () => {} },
    }),
  )
  /** Lets what was begun come to its end. */
  const rest = () => new Promise<void>((resolve) => setImmediate(resolve))
  for (const model of models) {
    let isStarted = false
    void model.start().then(() => {
      isStarted = true
    })
    while (!isStarted) {
      await rest()
      for (const clock of clocks) clock.fireNext(1000)
    }
  }
  const read = async (key: string) => {
    const record = await records.get(`read-model/users/1/${key}`)
    return record && JSON.parse(Buffer.from(record.value).toString())
  }
  const names = async (): Promise<string | undefined> => {
    const { rows } = (await read('state')) as SharedState
    const row = (await read(`row/${String(rows).padStart(10, '0')}/a`)) as { state: User } | undefined
    return row?.state.names.join()
  }
  const begin = async () => {
    // What has happened before is stored: whoever takes over goes on with the rows that there are.
    publish(eventOf('Created', { id: 'a', name: '0' }, { clock: clocks[0] as LeapClock }))
    await rest()
    for (let turn = 0; turn < 3; turn += 1) {
      clocks[0]?.fireNext(1000)
      await rest()
    }
    isStarting = false
  }
  return { clocks, models, publish, names, begin, step, resume: () => resume() }
}

interface Scenario {
  readonly title: string
  property(module: Module): fc.IAsyncPropertyWithHooks<unknown>
  readonly mutants: readonly { readonly name: string; readonly patches: readonly Patch[] }[]
}

const takeOver: Scenario = {
  title: 'FM-G9 a row has every event once, in their order, also while two instances take themselves for the keeper',
  property: (module) =>
    fc.asyncProperty(fc.scheduler(), fc.nat(24), async (scheduler, stop) => {
      const { clocks, publish, names, begin, step, resume } = await openInstances(module, scheduler, { count: 2, stop })
      await begin()
      const [first, second] = clocks as [LeapClock, LeapClock]
      const events = Array.from({ length: 6 }, (_, n) =>
        eventOf('Renamed', { id: 'a', name: `${n + 1}` }, { clock: first }),
      )
      publish(...events)
      const beats = async () => {
        for (let count = 0; count < 3; count += 1) {
          await step('a second of the first')
          first.fireNext(1000)
        }
      }
      const looks = async () => {
        for (let count = 0; count < 4; count += 1) {
          await step('a lease of the second')
          second.leap(LEASE_MS)
          second.fireNext(1000)
        }
      }
      const goesOn = async () => {
        for (let count = 0; count < 80; count += 1) await step('the first stands still')
        resume()
      }
      void beats()
      void looks()
      void goesOn()
      await scheduler.waitIdle()
      const found = await names()
      if (found !== '0,1,2,3,4,5,6') throw new Violation(`the row has ${found}`)
    }),
  mutants: [
    {
      name: 'a row that is written without its condition',
      patches: [
        {
          file: 'src/read-model/shared-rows.ts',
          find: 'value: Buffer.from(encodeRow(row)), ifVersion }',
          replace: 'value: Buffer.from(encodeRow(row)) }',
        },
      ],
    },
    {
      name: 'a keeper that writes what its successor has written',
      patches: [
        {
          file: 'src/read-model/keeper.ts',
          find: 'if ((known?.row.term ?? 0) > this.#term) this.#end()',
          replace: '',
        },
      ],
    },
    {
      name: 'more events of a key than it has ids without a stored position',
      patches: [
        {
          file: 'src/read-model/keeper.ts',
          find: 'if ((this.#counts.get(key) ?? 0) >= SEEN_LIMIT) await this.#save()',
          replace: '',
        },
      ],
    },
    {
      name: 'a position that is stored before the rows up to it are',
      patches: [
        {
          file: 'src/read-model/keeper.ts',
          find: 'await Promise.all(this.#turns.values()) this.#refuseOver()',
          replace: 'this.#refuseOver()',
        },
      ],
    },
    {
      name: 'a state that is written without its condition',
      patches: [{ file: 'src/read-model/shared-state.ts', find: ', ifVersion: this.#version }', replace: '}' }],
    },
    {
      name: 'an event that is not known when it comes again',
      patches: [
        {
          file: 'src/read-model/row.ts',
          find: 'if (row.seen.includes(event.id) || isBefore(row, reading)) return',
          replace: 'if (isBefore(row, reading)) return',
        },
      ],
    },
  ],
}

const ownWrite: Scenario = {
  title: 'FM-G8 whoever waits for an event hears of it, whenever it comes',
  property: (module) =>
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const { clocks, models, publish, begin } = await openInstances(module, scheduler, { count: 1 })
      await begin()
      const event = eventOf('Renamed', { id: 'a', name: 'Ada' }, { clock: clocks[0] as LeapClock })
      let seen: boolean | undefined
      void models[0]?.whenAt(event, { waitMs: 50_000 }).then((value) => {
        seen = value
      })
      publish(event)
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

describe.each([takeOver, ownWrite].map((one) => [one.title, one] as const))('%s', (_title, { property, mutants }) => {
  let real: Module
  beforeAll(async () => {
    real = await loadMutant<Module>([FEW_IDS], 'src/read-model/index.ts')
  })

  it('holds in every interleaving', async () => {
    await fc.assert(property(real), { numRuns: RUNS, endOnFailure: true })
  })

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
    'and is broken by: %s',
    async (_name, { patches }) => {
      const mutant = await loadMutant<Module>([FEW_IDS, ...patches], 'src/read-model/index.ts')
      const found = await fc.check(property(mutant), { numRuns: MUTANT_RUNS, endOnFailure: true })
      if (found.failed && !(found.errorInstance instanceof Violation)) throw found.errorInstance
      expect(found.failed, `no interleaving out of ${MUTANT_RUNS} has found this mutant`).toBe(true)
    },
  )
})
