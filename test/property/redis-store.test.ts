import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EventMessage, toMessage } from '../../src/core/event.js'
import { type Ending, type NewOperation, SEQUENCE_HEADER } from '../../src/core/operation.js'
import type { Store } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory/index.js'
import { redis } from '../../src/stores/redis/index.js'
import { createFakeClock } from '../../src/testing/fake-clock.js'
import { freshPrefix, missingRedis, REDIS_URL, removeKeys } from '../support/redis/clients.js'
import { timedClient } from '../support/redis/timed-client.js'

const missing = await missingRedis()

/** One thing that is done to both stores at the same time. */
type Step = (store: Store, tokens: readonly number[]) => Promise<unknown>
type NamedStep = { readonly name: string; readonly run: Step; readonly ms?: number }

const clock = createFakeClock()
// Mostly one, so that much happens to it.
const ids = fc.constantFrom('op1', 'op1', 'op1', 'op1', 'op2', 'op 3')
const ms = fc.constantFrom(0, 10, 20, 50)
const text = fc.constantFrom(undefined, '', 'a', 'grün ✓\u0000😀')
const isTrue = fc.boolean()

function named(name: string, run: Step): NamedStep {
  return { name, run }
}

function event(init: Partial<EventMessage> & { readonly type: string }): EventMessage {
  return toMessage({ source: 'model', time: 5, ...init }, clock)
}

/** Those that are still kept: the memory store does not report what had its time and its retention unseen. */
async function sweep(store: Store): Promise<unknown> {
  const swept = (await store.sweep(1000)).map(({ id }) => id).sort()
  const kept = await Promise.all(swept.map((id) => store.get(id)))
  return swept.filter((_, index) => kept[index]?.state === 'expired')
}

interface Creation {
  readonly id: string
  readonly principal?: string | undefined
  readonly key?: string | undefined
  readonly idem?: string | undefined
  readonly ttlMs: number
  readonly retentionMs: number
  readonly body: Uint8Array
}

function createStep({ id, principal, key, idem, ttlMs, retentionMs, body }: Creation): NamedStep {
  const idempotency = idem === undefined ? undefined : { key: idem, fingerprint: '' }
  const request = event({ type: 'Do', id: `request ${id}`, key, body, headers: { ['__proto__']: 'x' } })
  const init: NewOperation = { id, command: 'Do', principal, request, ttlMs, retentionMs, idempotency }
  const name = `create ${JSON.stringify({ id, principal, key, idem, ttlMs, retentionMs })}`
  return named(name, (store) => store.create(init))
}

const create = fc
  .record({ id: ids, principal: text, key: text, idem: text, ttlMs: ms, retentionMs: ms, body: fc.uint8Array() })
  .map(createStep)

interface Completion {
  readonly id: string
  readonly state: 'succeeded' | 'failed' | 'canceled'
  readonly event: number
  readonly type: string
  readonly command: string
  readonly releaseKey: boolean
  readonly ifVersion?: number | undefined
  readonly record: boolean
}

function completeStep({ id, state, event: number, record, ...rest }: Completion): NamedStep {
  const { type, command, releaseKey, ifVersion } = rest
  const error = { code: 'ERR_OPERATION_CANCELED', message: 'canceled' } as const
  const byResult = { state: 'succeeded', result: event({ type, id: `e${number}` }), command } as const
  const ending: Ending = state === 'succeeded' ? byResult : { state, error, releaseKey, ifVersion }
  const writes = record ? [{ key: 'r', value: Buffer.from(type), ifVersion: 0 }] : []
  return named(`complete ${JSON.stringify({ id, ...ending, record })}`, async (store) => {
    const settled = await store.complete(id, ending, writes)
    const records = await store.records.list('')
    return { settled, records: records.map(({ key, value }) => [key, Buffer.from(value).toString()]) }
  })
}

const complete = fc
  .record({
    id: ids,
    state: fc.constantFrom('succeeded' as const, 'failed' as const, 'canceled' as const),
    event: fc.integer({ min: 0, max: 4 }),
    type: fc.constantFrom('Done', 'Not'),
    command: fc.constantFrom('Do', 'Do', 'Other'),
    releaseKey: isTrue,
    ifVersion: fc.constantFrom(undefined, 1, 2),
    record: isTrue,
  })
  .map(completeStep)

const progress = fc
  .record({ id: ids, sequence: fc.integer({ min: 0, max: 4 }), event: fc.integer({ min: 0, max: 3 }), time: ms })
  .map(({ id, sequence, event: number, time }) => {
    const headers = sequence === 0 ? { [SEQUENCE_HEADER]: 'none' } : { [SEQUENCE_HEADER]: String(sequence) }
    const message = event({ type: 'Doing', id: `p${number}`, time, headers })
    return named(`progress ${JSON.stringify({ id, sequence, number, time })}`, (store) => store.progress(id, message))
  })

const lease = fc
  .record({
    olderThanMs: fc.constantFrom(0, 5),
    leaseMs: fc.constantFrom(5, 30),
    limit: fc.integer({ min: 1, max: 3 }),
  })
  .map((request) => named(`lease ${JSON.stringify(request)}`, (store) => store.leaseUnpublished(request)))

const mark = fc
  .record({ id: ids, lease: fc.integer({ min: -1, max: 2 }) })
  .map(({ id, lease: back }) =>
    named(`mark ${id} ${back}`, (store, tokens) =>
      store.markPublished([id, 'unknown'], back < 0 ? undefined : (tokens.at(-1 - back) ?? 99)),
    ),
  )

const others: NamedStep[] = [
  named('sweep', sweep),
  ...['op1', 'op2', 'op 3'].map((id) => named(`get ${id}`, (store) => store.get(id))),
]
const advance = fc.constantFrom(1, 5, 10, 25).map((by) => ({ ...named(`${by} ms`, async () => undefined), ms: by }))
const step: fc.Arbitrary<NamedStep> = fc.oneof(
  { weight: 4, arbitrary: create },
  { weight: 4, arbitrary: complete },
  { weight: 2, arbitrary: progress },
  { weight: 2, arbitrary: lease },
  { weight: 2, arbitrary: mark },
  { weight: 3, arbitrary: fc.constantFrom(...others) },
  { weight: 4, arbitrary: advance },
)

/** Small slips in the scripts, each of which the comparison must find. */
const MUTANTS: readonly (readonly [what: string, right: string, wrong: string])[] = [
  ['a later end overwrites the first', "if row[STATE] ~= 'running' then", 'if false then'],
  ['results of other commands count', 'ending.command ~= row[COMMAND]', 'false'],
  ['the version is not compared', 'ending.ifVersion ~= row[VERSION]', 'false'],
  [
    'a second late result replaces the first',
    "if not row[LATE_ID] then redis.call('HSET'",
    "if true then redis.call('HSET'",
  ],
  ['a released key stays taken', "redis.call('DEL', idemKey(row))\n    redis.call('HDEL'", "redis.call('HDEL'"],
  ['what has had its time still runs', "if row[STATE] == 'running' and tonumber", 'if false and tonumber'],
  ['a mark counts under any token', 'token == row[TOKEN]', 'true'],
  ['what ends stays lent', 'if row[TOKEN] then release(id, row) end', ''],
  ['old progress counts', 'if sequence <= last then return false end', ''],
  ['what has had its time holds its key', 'expireDue(MOST)', ''],
  ['records are written whatever their condition', "if ifVersion ~= '' and", 'if false and'],
]

const steps = fc.array(step, { minLength: 5, maxLength: 50 })

/** Too rare to be left to chance: an end without a result, and two results after it. */
const RESULT = { id: 'op1', state: 'succeeded', type: 'Done', command: 'Do', releaseKey: false, record: false } as const
const TWO_LATE_RESULTS = [
  createStep({ id: 'op1', ttlMs: 50, retentionMs: 50, body: new Uint8Array() }),
  completeStep({ ...RESULT, state: 'canceled', event: 0 }),
  completeStep({ ...RESULT, event: 1 }),
  completeStep({ ...RESULT, event: 2 }),
  named('get op1', (store) => store.get('op1')),
]
/** And two ends that write the same record. */
const ONE_RECORD_TWICE = [
  createStep({ id: 'op1', ttlMs: 50, retentionMs: 50, body: new Uint8Array() }),
  createStep({ id: 'op2', ttlMs: 50, retentionMs: 50, body: new Uint8Array() }),
  completeStep({ ...RESULT, event: 1, record: true }),
  completeStep({ ...RESULT, id: 'op2', event: 2, type: 'Not', record: true }),
]
const leaseOf = (leaseMs: number): NamedStep =>
  named(`lease for ${leaseMs} ms`, (store) => store.leaseUnpublished({ olderThanMs: 0, leaseMs, limit: 1 }))
/** And one that ends by itself while it is lent, with a younger one of its key behind it. */
const ENDED_WHILE_LENT = [
  createStep({ id: 'op2', key: '', ttlMs: 10, retentionMs: 0, body: new Uint8Array() }),
  leaseOf(30),
  { ...named('11 ms', async () => undefined), ms: 11 },
  createStep({ id: 'op1', key: '', ttlMs: 10, retentionMs: 0, body: new Uint8Array() }),
  leaseOf(5),
]
const examples: [NamedStep[]][] = [[TWO_LATE_RESULTS], [ONE_RECORD_TWICE], [ENDED_WHILE_LENT]]

describe.skipIf(missing)(`the Redis store${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it('does what the memory store does, whatever comes in whatever order', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, (all) => compare(all)),
      { numRuns: 100, examples },
    )
  })

  it.each(MUTANTS)('a mutant is found: %s', { timeout: 120_000 }, async (_what, right, wrong) => {
    let replaced = 0
    const mutate = (source: string): string => {
      if (source.includes(right)) replaced += 1
      return source.replace(right, wrong)
    }
    const property = fc.asyncProperty(steps, (all) => compare(all, mutate))
    const { failed } = await fc.check(property, { numRuns: 4000, endOnFailure: true, examples })
    expect(replaced).toBeGreaterThan(0)
    expect(failed).toBe(true)
  })
})

async function compare(steps: readonly NamedStep[], mutate?: (source: string) => string): Promise<void> {
  // Ten years from now, so that no key goes by itself while the test runs.
  let now = Date.now() + 315_360_000_000
  const prefix = freshPrefix()
  const client = timedClient(REDIS_URL, () => now, mutate)
  const stores = { memory: memoryStore({ clock: { ...clock, now: () => now } }), redis: redis({ client, prefix }) }
  const tokens: { memory: number[]; redis: number[] } = { memory: [], redis: [] }
  for (const store of Object.values(stores)) await store.start()
  const take = async (kind: 'memory' | 'redis', { run }: NamedStep): Promise<unknown> => {
    const answer = await run(stores[kind], tokens[kind])
    if (typeof answer !== 'object' || answer === null || !('token' in answer)) return comparable(answer)
    tokens[kind].push(Number(answer.token))
    return comparable({ ...answer, token: tokens[kind].length })
  }
  try {
    for (const one of steps) {
      now += one.ms ?? 0
      expect(await take('redis', one), one.name).toEqual(await take('memory', one))
    }
  } finally {
    client.end()
    await removeKeys(prefix)
  }
}

/** Bytes by their values, whatever kind of array holds them. */
function comparable(answer: unknown): unknown {
  const toPlain = (_key: string, value: unknown): unknown => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
    if (typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer')
      return Buffer.from((value as unknown as { data: number[] }).data).toString('base64')
    return value
  }
  return JSON.parse(JSON.stringify(answer ?? null, toPlain))
}
