import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { created, createGateway, memoryTransport, problem } from 'respond-async'
import { handle, operations } from 'respond-async/fetch'
import { createWorker } from 'respond-async/worker'

interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string; username: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' }
}

const transport = memoryTransport()

// The back end: takes request events, answers with result events.
const taken = new Map<string, string>()
const worker = createWorker<Events>({ transport }).handle('CreateUser::Requested', ({ id, data: { username } }) => {
  const owner = taken.get(username) ?? id
  if (owner !== id) return { type: 'CreateUser::UserNotCreated', data: { reason: 'duplicate' } }
  taken.set(username, id)
  return { type: 'CreateUser::UserCreated', data: { id, username } }
})
await worker.start()

// The gateway: publishes request events, and makes HTTP answers of their results.
const gateway = createGateway<Events>({ transport })
const createUser = gateway.command({
  publish: 'CreateUser::Requested',
  outcomes: {
    'CreateUser::UserCreated': created(({ data }) => `/users/${data.id}`),
    'CreateUser::UserNotCreated': problem(409),
  },
})
await gateway.start()

const serveUsers = handle(createUser)
const serveOperations = operations(gateway)
const app = new Hono()
app.post('/users', (c) => serveUsers(c.req.raw))
app.all('/operations/*', (c) => serveOperations(c.req.raw))
const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) })

process.on('SIGTERM', async () => {
  await gateway.close()
  server.close()
  await worker.close()
})
