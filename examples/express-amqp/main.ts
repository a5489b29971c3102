import express from 'express'
import { created, createGateway, problem } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { handle, operations, problems } from 'respond-async/express'
import type { Events } from './events.js'

// Its errors at start are one sentence each; later losses of the connection are mended, and /healthz tells of them.
const transport = amqp({
  url: process.env.AMQP_URL ?? 'amqp://127.0.0.1:5672',
  prefix: process.env.PREFIX ?? 'example',
})
const gateway = createGateway<Events>({ transport, waitMs: 1000 })
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
app.get('/healthz', (_, res) => void res.sendStatus(gateway.isReady ? 200 : 503))
app.use(problems(gateway))
const server = app.listen(Number(process.env.PORT ?? 3000))

process.on('SIGTERM', async () => {
  await gateway.close()
  server.close()
})
