import express, { type RequestHandler } from 'express'
import { created, createGateway, memoryTransport, problem } from 'respond-async'
import { operations, problems, respond } from 'respond-async/express'
import { createWorker } from 'respond-async/worker'
import { type Reservation, reserve } from './warehouse.js'

interface Events {
  'Reserve::Requested': { item: string; customer: string }
  'Reserve::Reserved': Reservation
  'Reserve::OutOfStock': { item: string }
}

const transport = memoryTransport()
const gateway = createGateway<Events>({ transport, waitMs: 1000 })
const reserveItem = gateway.command({
  publish: 'Reserve::Requested',
  outcomes: { 'Reserve::Reserved': created(), 'Reserve::OutOfStock': problem(409) },
})
const worker = createWorker<Events>({ transport }).handle(
  'Reserve::Requested',
  async ({ data: { item, customer } }) => {
    const reservation = await reserve(item, customer)
    if (reservation) return { type: 'Reserve::Reserved', data: reservation }
    return { type: 'Reserve::OutOfStock', data: { item } }
  },
)
await worker.start()
await gateway.start()

const requireCustomer: RequestHandler = (req, res, next) => {
  res.locals.customer = req.get('x-customer')
  if (res.locals.customer) next()
  else res.status(401).json({ error: 'Who are you?' })
}

const app = express()
app.use(express.json())
app.get('/healthz', (_req, res) => void res.send('ok'))
app.use('/operations', operations(gateway))
app.post('/reservations', requireCustomer, async (req, res) => {
  const { item } = req.body ?? {}
  if (typeof item !== 'string') return void res.status(400).json({ error: 'item is missing' })
  await respond(reserveItem, req, res, { item, customer: res.locals.customer })
})
app.use(problems(gateway))
const server = app.listen(Number(process.env.PORT ?? 3000))
process.on('SIGTERM', () => server.close())
process.on('SIGTERM', () => gateway.close().then(() => worker.close()))
