import express, { type RequestHandler } from 'express'
import { reserve } from './warehouse.js'

const requireCustomer: RequestHandler = (req, res, next) => {
  res.locals.customer = req.get('x-customer')
  if (res.locals.customer) next()
  else res.status(401).json({ error: 'Who are you?' })
}

const app = express()
app.use(express.json())
app.get('/healthz', (_req, res) => void res.send('ok'))
app.post('/reservations', requireCustomer, async (req, res) => {
  const { item } = req.body ?? {}
  if (typeof item !== 'string') return void res.status(400).json({ error: 'item is missing' })
  const reservation = await reserve(item, res.locals.customer)
  if (reservation) res.status(201).json(reservation)
  else res.status(409).json({ error: 'out of stock' })
})
const server = app.listen(Number(process.env.PORT ?? 3000))
process.on('SIGTERM', () => server.close())
