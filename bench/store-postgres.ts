/**
 * What create, complete and get of the Postgres store cost, against a statement per request. Run it by
 * `npx tsx bench/store-postgres.ts`; DATABASE_URL names the server, and a schema of its own is made and dropped.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { systemClock } from '../src/core/clock.js'
import { toMessage } from '../src/core/event.js'
import type { NewOperation } from '../src/core/operation.js'
import type { Store } from '../src/core/store.js'
import { migrate, type PostgresStoreOptions, postgres } from '../src/stores/postgres/index.js'

const connectionString = process.env['DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4)
const schema = `bench_${randomBytes(5).toString('hex')}`
const data = { text: 'x'.repeat(180) }

function operation(): NewOperation {
  const id = randomBytes(10).toString('hex')
  const request = toMessage({ type: 'Bench::Asked', source: 'bench', correlationId: id, data }, systemClock)
  return { id, command: request.type, request, ttlMs: 3_600_000, retentionMs: 86_400_000 }
}

async function once(store: Store): Promise<void> {
  const init = operation()
  const result = toMessage({ type: 'Bench::Answered', source: 'bench', correlationId: init.id, data }, systemClock)
  await store.create(init)
  await store.complete(init.id, { state: 'succeeded', result, command: init.command })
  await store.get(init.id)
}

/** Keeps so many operations under way for a time. */
async function measure(store: Store, inFlight: number) {
  const latencies: number[] = []
  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + SECONDS * 1000
  const user = async () => {
    while (performance.now() < end) {
      const from = performance.now()
      await once(store)
      latencies.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, user))
  const seconds = (performance.now() - start) / 1000
  const { user: usr, system } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  return {
    'a second': Math.round(latencies.length / seconds),
    p50: Number((latencies[latencies.length >> 1] ?? 0).toFixed(2)),
    'CPU-s / 1,000': Number(((usr + system) / 1e3 / latencies.length).toFixed(3)),
  }
}

const pool = new pg.Pool({ connectionString, max: 10, connectionTimeoutMillis: 1000, query_timeout: 3000 })
const variants: Record<string, Partial<PostgresStoreOptions>> = {
  'group commit': {},
  'a statement per request': { maxBatch: 1, inFlight: 10 },
}
const rows: Record<string, object> = {}
for (const [name, options] of Object.entries(variants)) {
  const prefix = `b${Object.keys(rows).length}_`
  await migrate(pool, { schema, prefix })
  const store = postgres({ client: pool, schema, prefix, ...options })
  await store.start()
  await measure(store, 16)
  for (const inFlight of [1, 64, 1024]) rows[`${name}, ${inFlight} in flight`] = await measure(store, inFlight)
  await store.close()
}
await pool.query(`drop schema "${schema}" cascade`)
await pool.end()
console.table(rows)
