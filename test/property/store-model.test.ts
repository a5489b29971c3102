import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EventMessage, toMessage } from '../../src/core/event.js'
import { type Operation, SEQUENCE_HEADER } from '../../src/core/operation.js'
import { memoryStore } from '../../src/stores/memory/index.js'
import { createFakeClock } from '../../src/testing/fake-clock.js'

/** What the model knows of an operation: plain facts, changed by plain rules of its own. */
interface Known {
  readonly id: string
  readonly key: string | undefined
  hasKey: boolean
  state: Operation['state']
  version: number
  /** When it expires or is purged. */
  until: number
  readonly retentionMs: number
  readonly createdAt: number
  published: boolean
  sequence: number
  result: EventMessage | undefined
  late: EventMessage | undefined
  conflicting: EventMessage | undefined
  lease: { readonly token: number; readonly until: number }
}

type Step =
  | {
      readonly do: 'create'
      readonly n: number
      readonly key: number
      readonly ttlMs: number
      readonly retentionMs: number
    }
  | {
      readonly do: 'result'
      readonly n: number
      readonly event: number
      readonly type: string
      readonly foreign: boolean
    }
  | { readonly do: 'cancel'; readonly n: number; readonly releaseKey: boolean; readonly ifVersion: number }
  | { readonly do: 'progress'; readonly n: number; readonly sequence: number }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'lease'; readonly olderThanMs: number; readonly leaseMs: number; readonly limit: number }
  | { readonly do: 'mark'; readonly n: number; readonly lease: number }
  | { readonly do: 'get'; readonly n: number }
  | { readonly do: 'sweep' }

const n = fc.integer({ min: 0, max: 4 })
const ms = fc.constantFrom(10, 20, 50)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      n,
      key: fc.integer({ min: 0, max: 3 }),
      ttlMs: ms,
      retentionMs: ms,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('result' as const),
      n,
      event: fc.integer({ min: 0, max: 3 }),
      type: fc.constantFrom('Done', 'Not'),
      foreign: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('cancel' as const),
      n,
      releaseKey: fc.boolean(),
      ifVersion: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('progress' as const), n, sequence: fc.integer({ min: 0, max: 4 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(0, 1, 5, 10, 25) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('lease' as const),
      olderThanMs: fc.constantFrom(0, 5),
      leaseMs: fc.constantFrom(5, 30),
      limit: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mark' as const), n, lease: fc.integer({ min: -1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('get' as const), n }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
)

describe('the memory store', () => {
  it('does what a naive model does, whatever comes in whatever order', async () => {
    const run = async (steps: readonly Step[]): Promise<void> => {
      const pair = await createPair()
      for (const one of steps) await pair.take(one)
      await pair.compare()
    }
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), run), { numRuns: 1500 })
  })
})

async function createPair() {
  // The store's calls need no timers, so time is a plain number.
  let now = 1_000_000
  const clock = { ...createFakeClock(), now: () => now }
  const store = memoryStore({ clock })
  await store.start()
  const model: Known[] = []
  const unreported = new Set<Known>()
  const tokens: number[] = []
  let events = 0
  const request = toMessage({ type: 'Do', source: 'model' }, clock)
  const heard: string[] = []
  const expectedToHear: string[] = []
  await store.watch?.((id, operation) => heard.push(`${id} ${operation?.version}`))

  function event(id: string, type: string, sequence = 0): EventMessage {
    const headers = sequence === 0 ? {} : { [SEQUENCE_HEADER]: String(sequence) }
    return toMessage({ id, type, source: 'model', headers }, clock)
  }

  /** Lets time do to an operation what it has done. */
  function touch(id: string): Known | undefined {
    const known = model.find((one) => one.id === id)
    if (known === undefined) return undefined
    if (known.state === 'running' && known.until <= now) {
      changeState(known, 'expired', known.until)
      unreported.add(known)
    }
    if (known.state === 'running' || known.until > now) return known
    model.splice(model.indexOf(known), 1)
    unreported.delete(known)
    return undefined
  }

  function changeState(known: Known, state: Known['state'], at: number): void {
    known.state = state
    known.until = at + known.retentionMs
    change(known)
  }

  function change(known: Known): void {
    known.version += 1
    expectedToHear.push(`${known.id} ${known.version}`)
  }

  function expectSame(actual: Operation | undefined, known: Known | undefined): void {
    const seen = actual && {
      ...{
        id: actual.id,
        state: actual.state,
        version: actual.version,
        until: actual.expiresAt,
        published: actual.published,
      },
      ...{
        key: actual.idempotency?.key,
        sequence: actual.progress?.sequence ?? 0,
        hasRequest: actual.request !== undefined,
      },
      ...{ result: actual.result?.id, late: actual.lateResult?.id, conflicting: actual.conflictingResult?.id },
    }
    const wanted = known && {
      ...{ id: known.id, state: known.state, version: known.version, until: known.until, published: known.published },
      ...{ key: known.hasKey ? known.key : undefined, sequence: known.sequence },
      hasRequest: known.state === 'running' && !known.published,
      ...{ result: known.result?.id, late: known.late?.id, conflicting: known.conflicting?.id },
    }
    expect(seen).toEqual(wanted)
  }

  function modelResult(known: Known, result: EventMessage): string {
    if (known.state === 'running') {
      changeState(known, 'succeeded', now)
      known.result = result
      known.published = true
      return 'won'
    }
    if ([known.result, known.late, known.conflicting].some((one) => one?.id === result.id)) return 'same'
    if (known.result === undefined) {
      if (known.late !== undefined) return 'duplicate'
      known.late = result
      return 'late'
    }
    if (known.result.type === result.type) return 'duplicate'
    known.conflicting ??= result
    return 'conflict'
  }

  async function create({ n, key, ttlMs, retentionMs }: Extract<Step, { do: 'create' }>): Promise<void> {
    const id = `op${n}`
    const idempotency = key === 0 ? undefined : { key: `key${key}`, fingerprint: 'f' }
    const actual = await store.create({ id, command: 'Do', request, ttlMs, retentionMs, idempotency })
    const same = touch(id)
    const holder = same ?? (key === 0 ? undefined : heldBy(`key${key}`))
    expect(actual.created).toBe(same !== undefined || holder === undefined)
    if (holder !== undefined) return expectSame(actual.operation, holder)
    const times = { createdAt: now, until: now + ttlMs, retentionMs }
    const results = { result: undefined, late: undefined, conflicting: undefined }
    const known: Known = {
      ...{ id, key: idempotency?.key, hasKey: key !== 0, state: 'running', version: 1, published: false, sequence: 0 },
      ...{ ...times, ...results, lease: { token: 0, until: 0 } },
    }
    model.push(known)
    expectSame(actual.operation, known)
  }

  function heldBy(key: string): Known | undefined {
    const holder = model.find((one) => one.hasKey && one.key === key)
    return holder && touch(holder.id)
  }

  async function complete(one: Extract<Step, { do: 'result' | 'cancel' }>): Promise<void> {
    const id = `op${one.n}`
    const known = touch(id)
    if (one.do === 'result') {
      const result = event(`${one.type}${one.event}`, one.type)
      const command = one.foreign ? 'Other' : 'Do'
      const settled = await store.complete(id, { state: 'succeeded', result, command })
      const verdict = known && (one.foreign ? 'foreign' : modelResult(known, result))
      expect(settled?.verdict).toBe(verdict)
      return expectSame(settled?.operation, known)
    }
    const condition = one.ifVersion === 0 ? {} : { ifVersion: one.ifVersion }
    const error = { code: 'ERR_OPERATION_CANCELED', message: 'canceled' } as const
    const settled = await store.complete(id, { state: 'canceled', error, releaseKey: one.releaseKey, ...condition })
    if (known === undefined) return expect(settled).toBeUndefined()
    const isStale =
      (one.ifVersion !== 0 && one.ifVersion !== known.version) || (one.releaseKey && known.lease.token > 0)
    const verdict = known.state !== 'running' ? 'ended' : isStale ? 'stale' : 'won'
    if (verdict === 'won') {
      changeState(known, 'canceled', now)
      if (one.releaseKey) known.hasKey = false
    }
    expect(settled?.verdict).toBe(verdict)
    expectSame(settled?.operation, known)
  }

  async function progress({ n, sequence }: Extract<Step, { do: 'progress' }>): Promise<void> {
    const id = `op${n}`
    const actual = await store.progress(id, event(`progress-${events++}`, 'Doing', sequence))
    const known = touch(id)
    const next = known && (sequence === 0 ? known.sequence + 1 : sequence)
    if (known === undefined || next === undefined || known.state !== 'running' || next <= known.sequence) {
      return expect(actual).toBeUndefined()
    }
    known.sequence = next
    change(known)
    expectSame(actual, known)
  }

  async function lease(wanted: Extract<Step, { do: 'lease' }>): Promise<void> {
    const { token, operations } = await store.leaseUnpublished(wanted)
    expect(token).toBeGreaterThan(tokens.at(-1) ?? 0)
    tokens.push(token)
    const free = model.filter(
      (one) =>
        one.state === 'running' &&
        !one.published &&
        one.until > now &&
        one.createdAt <= now - wanted.olderThanMs &&
        one.lease.until <= now,
    )
    const lent = free.slice(0, wanted.limit)
    expect(operations.map(({ id }) => id)).toEqual(lent.map(({ id }) => id))
    for (const one of lent) one.lease = { token, until: now + wanted.leaseMs }
  }

  async function mark({ n, lease: index }: Extract<Step, { do: 'mark' }>): Promise<void> {
    const token = index < 0 ? undefined : (tokens.at(-1 - index) ?? 9999)
    await store.markPublished([`op${n}`, 'unknown'], token)
    const known = model.find(({ id }) => id === `op${n}`)
    if (known?.state !== 'running' || known.until <= now) return
    if (token === undefined || token === known.lease.token) known.published = true
  }

  async function sweep(): Promise<void> {
    const swept = await store.sweep(1000)
    for (const one of model) {
      if (one.state !== 'running' || one.until > now) continue
      changeState(one, 'expired', one.until)
      unreported.add(one)
    }
    expect(new Set(swept.map(({ id }) => id))).toEqual(new Set([...unreported].map(({ id }) => id)))
    expect(swept.length).toBe(unreported.size)
    unreported.clear()
  }

  async function take(one: Step): Promise<void> {
    if (one.do === 'create') await create(one)
    else if (one.do === 'result' || one.do === 'cancel') await complete(one)
    else if (one.do === 'progress') await progress(one)
    else if (one.do === 'lease') await lease(one)
    else if (one.do === 'mark') await mark(one)
    else if (one.do === 'sweep') await sweep()
    else if (one.do === 'advance') now += one.ms
    else expectSame(await store.get(`op${one.n}`), touch(`op${one.n}`))
  }

  async function compare(): Promise<void> {
    for (const { id } of [...model]) expectSame(await store.get(id), touch(id))
    expect(new Set(heard)).toEqual(new Set(expectedToHear))
    expect(heard.length).toBe(expectedToHear.length)
  }

  return { take, compare }
}
