import Fastify from 'fastify'
import { created, createGateway, problem } from 'respond-async'
import { handle, operations, problems } from 'respond-async/fastify'
import { kafka } from 'respond-async/kafka'
import { createWorker } from 'respond-async/worker'

interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string; username: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' }
}

const brokers = (process.env.KAFKA_BROKERS ?? 'localhost:9092').split(',')
const prefix = process.env.TOPIC_PREFIX ?? 'users'
const transport = kafka({ brokers, topics: { requests: `${prefix}.requests`, results: `${prefix}.results` } })

// The back end: takes request events, answers with result events.
const taken = new Map<string, string>()
const worker = createWorker<Events>({ transport, group: `${prefix}.workers` })
worker.handle('CreateUser::Requested', ({ id, data: { username } }) => {
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

// A schema of the route refuses bad requests before anything is published, as in every Fastify app.
const body = { type: 'object', required: ['username'], properties: { username: { type: 'string', minLength: 1 } } }

const app = Fastify()
app.register(problems(gateway))
app.register(operations(gateway))
app.post('/users', { schema: { body } }, handle(createUser))
await app.listen({ port: Number(process.env.PORT ?? 3000) })

process.on('SIGTERM', async () => {
  // Closes the gateway too, before the connections.
  await app.close()
  await worker.close()
})
