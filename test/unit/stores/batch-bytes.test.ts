import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import type { Store } from '../../../src/core/store.js'
import { postgres } from '../../../src/stores/postgres/index.js'
import { redis } from '../../../src/stores/redis/index.js'

const MIB = 1024 * 1024
const COUNT = 12

/** A database that takes everything and answers to nothing; it only looks how long the statements are. */
function fakePostgres() {
  let longest = 0
  const SETTINGS = {
    fsync: 'on',
    synchronous_commit: 'on',
    writer_delay_ms: 200,
    server_version: 150_000,
    standby: false,
  }
  const query = async (text: string, values: readonly unknown[] = []) => {
    if (text.includes('current_setting')) return { rows: [SETTINGS] }
    if (text.includes('to_regclass')) return { rows: [{ is_there: true }] }
    if (text.startsWith('select version')) return { rows: [{ version: 1, compatible: 1 }] }
    longest = Math.max(longest, values.join('').length)
    return { rows: [] }
  }
  return { store: postgres({ client: { query } }), longest: () => longest }
}

/** The same for Redis. */
function fakeRedis() {
  let longest = 0
  const sendCommand = async (args: readonly (string | Buffer)[]) => {
    longest = Math.max(
      longest,
      args.reduce((sum, argument) => sum + argument.length, 0),
    )
    return args[0] === 'EVAL' ? 1 : [0]
  }
  const rest = { connect: async () => {}, destroy: () => {}, on: () => {} }
  const client = { isOpen: true, isReady: true, sendCommand, ...rest }
  return { store: redis({ client: client as never }), longest: () => longest }
}

const event = () => toMessage({ type: 'T', source: 's', body: Buffer.alloc(MIB, 'x') }, systemClock)
const LIVES = { command: 'C', ttlMs: 1000, retentionMs: 1000 }

const CALLS: Readonly<Record<string, (store: Store, id: string) => Promise<unknown>>> = {
  creates: (store, id) => store.create({ id, ...LIVES, request: event() }),
  endings: (store, id) => store.complete(id, { command: 'C', state: 'succeeded', result: event() }),
  'records with endings': (store, id) => {
    const error = { code: 'ERR_RESULT_TIMEOUT', message: '' } as const
    return store.complete(id, { state: 'failed', error }, [{ key: id, value: Buffer.alloc(MIB) }])
  },
  records: (store, id) => store.records.put({ key: id, value: Buffer.alloc(MIB) }),
}

describe.each([
  ['Postgres', fakePostgres],
  ['Redis', fakeRedis],
])('the statements of %s', (_name, make) => {
  it.each(Object.entries(CALLS))('%s with large bodies do not all share one', async (_kind, call) => {
    const { store, longest } = make()
    await store.start()
    await Promise.allSettled(Array.from({ length: COUNT }, (_, index) => call(store, `id ${index}`)))
    // Of four at most, which are a third longer as base64.
    expect(longest()).toBeGreaterThan(2.5 * MIB)
    expect(longest()).toBeLessThan(6 * MIB)
    await store.close()
  })
})
