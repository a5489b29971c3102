import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { created, createGateway, memoryTransport, problem, type Store } from 'respond-async'
import { migrate, postgres } from 'respond-async/postgres'
import { redis } from 'respond-async/redis'
import { createWorker } from 'respond-async/worker'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { DATABASE_URL, openDatabase, whyNoServer } from '../../support/postgres.js'
import { freshPrefix, missingRedis, REDIS_URL, removeKeys } from '../../support/redis/clients.js'
import { TcpProxy } from '../../support/tcp-proxy.js'

interface Events {
  'Claim::Requested': { name: string }
  'Claim::Claimed': { id: string; name: string }
  'Claim::Taken': { name: string }
}

const REQUESTS = 100
const AWAY_MS = 4000
const database = openDatabase()
const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function redisBehind(proxy: TcpProxy): Promise<Store> {
  const prefix = freshPrefix()
  const client = new Redis(proxy.through(REDIS_URL), { lazyConnect: true })
  client.on('error', () => {})
  ends.push(
    () => removeKeys(prefix),
    () => client.disconnect(),
  )
  return redis({ client, prefix })
}

async function postgresBehind(proxy: TcpProxy): Promise<Store> {
  const [schema, prefix] = [database.schema, await database.prefix()]
  const connectionString = proxy.through(DATABASE_URL)
  const pool = new pg.Pool({ connectionString, max: 5, connectionTimeoutMillis: 1000, query_timeout: 3000 })
  ends.push(() => pool.end())
  await migrate(database.pool, { schema, prefix })
  return postgres({ client: pool, schema, prefix })
}

const missing = (await missingRedis()) ?? (await whyNoServer())

describe.skipIf(missing !== undefined)(
  `a store that is away for a while${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    it.each([
      ['Redis', REDIS_URL, redisBehind],
      ['Postgres', DATABASE_URL, postgresBehind],
    ] as const)(
      'FM-D1 fails no request that a worker has begun, and loses no name: %s',
      async (_, url, storeBehind) => {
        const proxy = await TcpProxy.start(url)
        ends.push(() => proxy.stop())
        const [transport, store] = [memoryTransport(), await storeBehind(proxy)]
        const gateway = createGateway<Events>({ transport, store })
        gateway.on('error', () => {})
        const claim = gateway.command({
          publish: 'Claim::Requested',
          outcomes: { 'Claim::Claimed': created(({ data }) => `/names/${data.id}`), 'Claim::Taken': problem(409) },
        })
        const worker = createWorker<Events>({ transport, concurrency: REQUESTS })
        worker.on('error', () => {})
        worker.handle('Claim::Requested', async ({ id, data: { name } }) => {
          await sleep(100 + Math.random() * 400)
          const { records } = store
          if ((await records.put({ key: name, value: Buffer.from(id), ifVersion: 0 })) !== undefined)
            return { type: 'Claim::Claimed', data: { id, name } }
          const owner = Buffer.from((await records.get(name))?.value ?? []).toString()
          return owner === id
            ? { type: 'Claim::Claimed', data: { id, name } }
            : { type: 'Claim::Taken', data: { name } }
        })
        await worker.start()
        await gateway.start()
        ends.push(
          () => worker.close(),
          () => gateway.close(),
        )

        const names = Array.from({ length: REQUESTS }, (_, n) => `name-${n}`)
        const accepted = await Promise.all(names.map((name) => claim.request({ name }, { waitMs: 0 })))
        expect(new Set(accepted.map(({ kind }) => kind))).toEqual(new Set(['accepted']))
        await sleep(120)
        await proxy.stop()
        await sleep(AWAY_MS)
        await proxy.listen()

        await until(() => gateway.isReady, 10_000)
        const states = () => Promise.all(accepted.map(({ operation }) => gateway.operations.get(operation.id)))
        await until(async () => (await states()).every((operation) => operation?.state !== 'running'), 30_000)
        expect((await states()).filter((operation) => operation?.state !== 'succeeded')).toEqual([])
        const again = await claim.request({ name: 'name-0' }, { waitMs: 10_000 })
        expect(again).toMatchObject({ kind: 'completed', event: { type: 'Claim::Taken' } })
      },
      90_000,
    )
  },
)
