import Fastify from 'fastify'
import pg from 'pg'
import { created, createGateway, problem } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { handle, operations } from 'respond-async/fastify'
import { migrate, postgres } from 'respond-async/postgres'
import { createWorker } from 'respond-async/worker'

interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string; username: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' }
}

const prefix = process.env.DEMO_PREFIX ?? 'two_instances'
const connectionString = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const url = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672'
const pool = new pg.Pool({ connectionString, connectionTimeoutMillis: 1000, query_timeout: 3000 })
const names = { prefix: `${prefix}_` }
await migrate(pool, names)

const store = postgres({ client: pool, ...names })
await store.start()
const worker = createWorker<Events>({ transport: amqp({ url, prefix }) })
worker.handle('CreateUser::Requested', async ({ id, data: { username } }) => {
  const key = `username/${username}`
  const isNew = await store.records.put({ key, value: Buffer.from(id), ifVersion: 0 })
  // Delivered again, a request finds that the name is its own.
  const owner = isNew === undefined ? (await store.records.get(key))?.value : Buffer.from(id)
  if (Buffer.from(owner ?? '').toString() !== id)
    return { type: 'CreateUser::UserNotCreated', data: { reason: 'duplicate' } }
  return { type: 'CreateUser::UserCreated', data: { id, username } }
})
await worker.start()

// Two instances, as two processes on two machines would be: they share nothing but broker and database.
const port = Number(process.env.PORT ?? 3000)
const apps = await Promise.all([port, port + 1].map(startGateway))

async function startGateway(at: number) {
  const store = postgres({ client: pool, listen: () => new pg.Client({ connectionString }), ...names })
  const gateway = createGateway<Events>({ transport: amqp({ url, prefix }), store })
  const createUser = gateway.command({
    publish: 'CreateUser::Requested',
    outcomes: {
      'CreateUser::UserCreated': created(({ data }) => `/users/${data.id}`),
      'CreateUser::UserNotCreated': problem(409),
    },
  })
  await gateway.start()
  const app = Fastify().register(operations(gateway)).post('/users', handle(createUser))
  await app.listen({ port: at })
  return app
}

process.on('SIGTERM', async () => {
  for (const app of apps) await app.close()
  await Promise.all([worker.close(), store.close()])
  await pool.end()
})
