import amqplib from 'amqplib'
import { createGateway, memoryStore, type Store } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'

const missing = await whyNoRabbitMq()
const client = new RecordingClient()
const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => (missing === undefined ? client.cleanUp() : undefined))

/** A worker that knows only the address in a request, and takes its time. */
async function startWorker(queue: string, delayMs: number) {
  const connection = await amqplib.connect(AMQP_URL)
  ends.push(() => connection.close())
  const channel = await connection.createChannel()
  await channel.assertQueue(queue, { durable: false, autoDelete: true })
  await channel.consume(queue, (message) => {
    if (message === null) return
    const { replyTo, correlationId } = message.properties
    const answer = () => channel.sendToQueue(replyTo, Buffer.from('1'), { correlationId, type: 'A::Done' })
    setTimeout(answer, delayMs)
    channel.ack(message)
  })
}

describe.skipIf(missing !== undefined)('gateways on one transport over RabbitMQ', () => {
  async function start(delayMs: number, store?: Store) {
    const prefix = uniquePrefix()
    const transport = amqp({ url: AMQP_URL, prefix, client, requests: { routes: { 'A::Asked': { key: prefix } } } })
    await startWorker(prefix, delayMs)
    const open = async () => {
      const gateway = createGateway({ transport, ...(store && { store }) })
      const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
      await gateway.start()
      ends.push(() => gateway.close())
      return { gateway, ask: () => command.request({}, { waitMs: 5000 }) }
    }
    return [await open(), await open()] as const
  }

  it('FM-C19 each with a store of its own get the answers to their own requests', async () => {
    const [one, other] = await start(0)
    for (const { ask } of [other, one, other]) expect(await ask()).toMatchObject({ kind: 'completed' })
  })

  it('FM-C19 one that closes takes no answers with it that another waits for', async () => {
    const [one, other] = await start(500, memoryStore())
    const reply = other.ask()
    await new Promise((resolve) => setTimeout(resolve, 100))
    await one.gateway.close()
    expect(await reply).toMatchObject({ kind: 'completed' })
    // Nor does it leave an address behind where nobody reads.
    expect(await other.ask()).toMatchObject({ kind: 'completed' })
  })

  it.each([
    ['that keep nothing', 'none' as const],
    ['each with a store of its own', undefined],
  ])('FM-C19 of different commands, %s, get what workers of this package answer', async (_, store) => {
    const options = { url: AMQP_URL, prefix: uniquePrefix(), client }
    const transport = amqp(options)
    const open = async (name: string) => {
      const gateway = createGateway({ transport, waitMs: 5000, ...(store && { store }) })
      const command = gateway.command({ publish: `${name}::Asked`, outcomes: { [`${name}::Done`]: 'succeeded' } })
      await gateway.start()
      ends.push(() => gateway.close())
      return { gateway, ask: () => command.request({}) }
    }
    const worker = createWorker({ transport: amqp(options) })
    ends.push(() => worker.close())
    for (const name of ['A', 'B']) worker.handle(`${name}::Asked`, () => ({ type: `${name}::Done`, data: name }))
    await worker.start()
    const [one, other] = [await open('A'), await open('B')] as const
    for (const { ask } of [other, one, other]) expect(await ask()).toMatchObject({ kind: 'completed' })
    await one.gateway.close()
    expect(await other.ask()).toMatchObject({ kind: 'completed' })
    expect([one, other].map(({ gateway }) => gateway.counters.orphan)).toEqual([0, 0])
  })
})
