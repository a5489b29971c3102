import { EventEmitter } from 'node:events'
import express from 'express'
import { created, createGateway, type EventMessage } from 'respond-async'
import { handle, operations, problems } from 'respond-async/express'
import { createWorker } from 'respond-async/worker'
import { eventBusTransport } from './event-bus-transport.js'

interface Events {
  'SendLetter::Requested': { to: string }
  'SendLetter::LetterSent': { id: string; to: string }
}

// Whatever else hangs on the bus of the application hears the results too.
const bus = new EventEmitter()
bus.on('result', ({ type, correlationId }: EventMessage) => console.log(`${type} of ${correlationId}`))

const transport = eventBusTransport(bus)
const worker = createWorker<Events>({ transport }).handle('SendLetter::Requested', ({ id, data: { to } }) => {
  return { type: 'SendLetter::LetterSent', data: { id, to } }
})
await worker.start()

const gateway = createGateway<Events>({ transport })
const sendLetter = gateway.command({
  publish: 'SendLetter::Requested',
  outcomes: { 'SendLetter::LetterSent': created(({ data }) => `/letters/${data.id}`) },
})
await gateway.start()

const app = express()
app.post('/letters', handle(sendLetter))
app.use('/operations', operations(gateway))
app.use(problems(gateway))
const server = app.listen(Number(process.env.PORT ?? 3000))

process.on('SIGTERM', async () => {
  await gateway.close()
  server.close()
  await worker.close()
})
