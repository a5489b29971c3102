import amqplib from 'amqplib'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { AMQP_URL, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { answers, type Child, startChild } from '../child.js'

const missing = await whyNoRabbitMq()
const prefix = uniquePrefix()
const env = { AMQP_URL, PREFIX: prefix }
const children = new Set<Child>()

afterEach(async () => {
  await Promise.all([...children].map((child) => child.stop()))
  children.clear()
})
afterAll(async () => {
  if (missing !== undefined) return
  const connection = await amqplib.connect(AMQP_URL)
  const channel = await connection.createChannel()
  const queue = `${prefix}.requests.workers.CreateUser::Requested`
  for (const name of [queue, `${queue}.parked`]) await channel.deleteQueue(name)
  for (const name of ['requests', 'results']) await channel.deleteExchange(`${prefix}.${name}`)
  await connection.close()
})

async function start(file: string): Promise<Child> {
  const child = await startChild(`examples/express-amqp/${file}`, { env })
  children.add(child)
  return child
}

async function startWorker(): Promise<Child> {
  const worker = await start('worker.ts')
  await worker.prints(/takes requests/)
  return worker
}

async function startGateway(): Promise<Child> {
  const gateway = await start('main.ts')
  await answers(gateway, '/healthz')
  return gateway
}

function post({ origin }: Child, username: string, headers = {}): Promise<Response> {
  return fetch(`${origin}/users`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ username }),
  })
}

function result({ origin }: Child, accepted: Response, wait = 20): Promise<Response> {
  return fetch(origin + accepted.headers.get('location'), { headers: { prefer: `wait=${wait}` } })
}

describe.skipIf(missing !== undefined)(
  'the example on RabbitMQ: a gateway and a worker in processes of their own',
  () => {
    it('refuses what no worker has ever been there for, and says that nothing happened', async () => {
      const gateway = await startGateway()
      const refused = await post(gateway, 'nobody')
      expect(refused.status).toBe(503)
      expect(await refused.json()).toMatchObject({ outcome: 'not-accepted' })
    }, 60_000)

    it('answers at once, negatively, and later', async () => {
      await startWorker()
      const gateway = await startGateway()
      expect((await post(gateway, 'ada')).status).toBe(201)
      expect((await post(gateway, 'ada')).status).toBe(409)
      const accepted = await post(gateway, 'slow ada')
      expect(accepted.status).toBe(202)
      const late = await result(gateway, accepted)
      expect([late.status, await late.json()]).toEqual([201, { id: expect.any(String), username: 'slow ada' }])
    }, 60_000)

    it('a worker that is killed at work and started again answers what it had taken', async () => {
      const worker = await startWorker()
      const gateway = await startGateway()
      const accepted = await Promise.all([1, 2, 3].map((n) => post(gateway, `slow ${n}`)))
      expect(accepted.map(({ status }) => status)).toEqual([202, 202, 202])
      worker.signal('SIGKILL')
      await worker.ended
      const meanwhile = await post(gateway, 'grace', { prefer: 'respond-async' })
      expect(meanwhile.status).toBe(202)
      await startWorker()
      const late = await Promise.all([...accepted, meanwhile].map((one) => result(gateway, one)))
      expect(late.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    }, 90_000)

    it('SIGTERM to the gateway answers those who wait, and ends it with 0; one to the worker likewise', async () => {
      const worker = await startWorker()
      const gateway = await startGateway()
      const waiting = post(gateway, 'slow waiter', { prefer: 'wait=10' })
      await new Promise((resolve) => setTimeout(resolve, 500))
      const end = gateway.stop()
      expect((await waiting).status).toBe(201)
      expect(await end).toBe(0)
      expect(await worker.stop()).toBe(0)
    }, 60_000)
  },
)
