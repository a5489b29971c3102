import express from 'express'
import { created, createGateway, memoryTransport, problem } from 'respond-async'
import { handle, operations, problems } from 'respond-async/express'
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

const app = express()
app.post('/users', handle(createUser))
app.use('/operations', operations(gateway))
app.use(problems(gateway))
const server = app.listen(Number(process.env.PORT ?? 3000))

process.on('SIGTERM', async () => {
  await gateway.close()
  server.close()
  await worker.close()
})
