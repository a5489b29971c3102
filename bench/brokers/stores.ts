import { Redis } from 'ioredis'
import pg from 'pg'
import type { Store } from 'respond-async'
import { memoryStore } from 'respond-async/memory'
import { migrate, postgres } from 'respond-async/postgres'
import { redis } from 'respond-async/redis'
import { fill } from './keeper.js'
import { schemaOf } from './names.js'
import type { Spec } from './spec.js'

const CONNECTIONS = 10

/** A store, and how to end the client under it. */
export interface OpenStore {
  readonly store: Store | undefined
  close(): Promise<void>
}

/** Makes the store of a variant, with as many operations in it as its spec says. */
export async function openStore(spec: Spec): Promise<OpenStore> {
  const open = await connect(spec)
  if (open.store !== undefined && spec.rows !== undefined) await fill(open.store, spec.rows)
  return open
}

async function connect({ keeping, prefix, redis: url, postgres: connectionString }: Spec): Promise<OpenStore> {
  if (keeping === 'none' || keeping === 'own') return { store: undefined, close: async () => {} }
  if (keeping === 'memory') return { store: memoryStore(), close: async () => {} }
  if (keeping === 'redis') {
    const client = new Redis(String(url), { lazyConnect: true })
    return { store: redis({ client, prefix: `${prefix}:` }), close: async () => client.disconnect() }
  }
  const pool = new pg.Pool({ connectionString, max: CONNECTIONS, connectionTimeoutMillis: 1000, query_timeout: 3000 })
  const names = { schema: schemaOf(prefix) }
  await migrate(pool, names)
  const listen = () => new pg.Client({ connectionString })
  return { store: postgres({ client: pool, listen, ...names }), close: () => pool.end() }
}

/** Removes what stores have left whose names begin with this. */
export async function dropStores(run: string, servers: Pick<Spec, 'redis' | 'postgres'>): Promise<void> {
  if (servers.redis !== undefined) await dropKeys(run, servers.redis)
  if (servers.postgres === undefined) return
  const client = new pg.Client({ connectionString: servers.postgres })
  await client.connect()
  const select = 'select nspname from pg_namespace where starts_with(nspname, $1)'
  const { rows } = await client.query<{ nspname: string }>(select, [schemaOf(run)])
  for (const { nspname } of rows) await client.query(`drop schema "${nspname}" cascade`)
  await client.end()
}

async function dropKeys(run: string, url: string): Promise<void> {
  const client = new Redis(url)
  for await (const keys of client.scanStream({ match: `${run}*`, count: 5000 }))
    if (keys.length > 0) await client.unlink(keys)
  client.disconnect()
}
