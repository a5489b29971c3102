import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { memoryTransport, type Operation, type Store } from 'respond-async'
import type { WorkerEvents } from 'respond-async/worker'
import { afterEach, describe, expect, it } from 'vitest'
import { createUserGateway } from '../../../examples/demo/gateway.js'
import { createUserWorker } from '../../../examples/demo/worker.js'
import { until } from '../../../src/testing/contract.js'
import { ChaosProxy } from '../../support/chaos-proxy.js'
import { DATABASE_URL, openDatabase, whyNoServer } from '../../support/postgres.js'
import { LIBRARIES, missingRedis, REDIS_URL, RedisStores } from '../../support/redis/clients.js'

const USERS = 60
/** Longer than the five attempts of a worker take with all their pauses. */
const AWAY_MS = 3000

/** One store over a line that fails, and the same one over a good line. */
type Open = (urlOf: (url: string) => string) => Promise<{ readonly store: Store; readonly direct: Store }>

const database = openDatabase()
const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const openRedis = (library: string): Open => {
  return async (urlOf) => {
    const [behind, beside] = [new RedisStores(LIBRARIES[library], urlOf(REDIS_URL)), new RedisStores()]
    ends.push(
      () => beside.close(),
      () => behind.close(),
    )
    const { prefix } = beside
    return { store: behind.create({ prefix }), direct: await beside.open({ prefix }) }
  }
}

const openPostgres: Open = async (urlOf) => {
  const connectionString = urlOf(DATABASE_URL)
  // As the demo has it.
  const pool = new pg.Pool({ connectionString, max: 5, connectionTimeoutMillis: 1000, query_timeout: 3000 })
  const prefix = await database.prefix()
  const direct = await database.store({ prefix })
  await direct.start()
  ends.push(
    () => direct.close(),
    () => pool.end(),
  )
  const listen = () => new pg.Client({ connectionString })
  return { store: await database.store({ client: pool, listen, prefix }), direct }
}

/** Gateway and worker of the demo in this process, which reach the store over the proxy. */
async function startDemo(store: Store) {
  const transport = memoryTransport()
  const { gateway, createUser } = createUserGateway({ transport, store, waitMs: 0 })
  const worker = createUserWorker(transport, store.records)
  const retries: WorkerEvents['retry'][] = []
  worker.on('retry', (retry) => retries.push(retry)).on('error', () => {})
  gateway.on('error', () => {})
  await store.start()
  await worker.start()
  await gateway.start()
  ends.push(
    () => store.close(),
    () => worker.close({ drainMs: 0 }),
    () => gateway.close(),
  )
  const statesOf = async (operations: readonly Operation[]) => {
    const found = await Promise.all(operations.map(({ id }) => gateway.operations.get(id)))
    return found.map((operation) => operation?.state)
  }
  return { gateway, createUser, retries, statesOf }
}

async function ownersIn({ records }: Store): Promise<Map<string, string>> {
  const found = await records.list('username/')
  return new Map(found.map(({ key, value }) => [key.slice('username/'.length), Buffer.from(value).toString()]))
}

const noRedis = await missingRedis()
const stores: readonly (readonly [name: string, missing: string | undefined, url: string, open: Open])[] = [
  ...Object.keys(LIBRARIES).map((library) => [`Redis, ${library}`, noRedis, REDIS_URL, openRedis(library)] as const),
  ['Postgres', await whyNoServer(), DATABASE_URL, openPostgres],
]

for (const [name, missing, url, open] of stores) {
  describe.skipIf(missing !== undefined)(`users of the demo, ${name}${missing ? ` (skipped: ${missing})` : ''}`, () => {
    it('FM-D1 all are created through an outage of the store that begins with answers that are lost', async () => {
      const { hostname, port } = new URL(url)
      const proxy = await ChaosProxy.to({ host: hostname, port: Number(port) })
      const { store, direct } = await open(
        (address) => Object.assign(new URL(address), { host: `127.0.0.1:${proxy.port}` }).href,
      )
      ends.push(() => proxy.close())
      const { gateway, createUser, retries, statesOf } = await startDemo(store)

      const names = Array.from({ length: USERS }, (_, n) => `user-${n}`)
      const ask = (username: string, n: number) => createUser.request({ username, simulate: { delayMs: 300 + n * 15 } })
      const accepted = (await Promise.all(names.map(ask))).map(({ operation }) => operation)
      // Answers are on their way for a while, so that some are lost with the connections: done, and nobody knows.
      proxy.set({ latencyMs: 100 }, 'down')
      await until(async () => (await ownersIn(direct)).size >= USERS / 3, 5000)
      await proxy.refuse()
      const written = await ownersIn(direct)
      const before = await Promise.all(accepted.map(({ id }) => direct.get(id)))
      const unaware = before.filter((operation) => operation?.state === 'running' && isOwner(written, operation.id))
      expect(unaware.length).toBeGreaterThan(0)
      expect(written.size).toBeLessThan(USERS)
      await sleep(AWAY_MS)
      await proxy.heal()

      await until(async () => !(await statesOf(accepted).catch(() => ['running'])).includes('running'), 20_000)
      expect(new Set(await statesOf(accepted))).toEqual(new Set(['succeeded']))
      expect(new Set(retries.map(({ error }) => (error as { code?: string }).code))).toEqual(
        new Set(['ERR_STORE_UNAVAILABLE']),
      )
      const owners = new Map(names.map((username, n) => [username, accepted[n]?.id]))
      expect(await ownersIn(direct)).toEqual(owners)

      await until(() => gateway.isReady, 5000)
      const again = await Promise.all(names.map((username) => createUser.request({ username }, { waitMs: 5000 })))
      const types = again.map((reply) => (reply.kind === 'completed' ? reply.event.type : reply.kind))
      expect(new Set(types)).toEqual(new Set(['CreateUser::UserNotCreated']))
    }, 40_000)
  })
}

function isOwner(owners: ReadonlyMap<string, string>, id: string): boolean {
  return [...owners.values()].includes(id)
}
