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
async function startWorker(queue: string, delayMs: number, type = 'A::Done') {
  const connection = await amqplib.connect(AMQP_URL)
  ends.push(() => connection.close())
  const channel = await connection.createChannel()
  await channel.assertQueue(queue, { durable: false, autoDelete: true })
  await channel.consume(queue, (message) => {
    if (message === null) return
    const { replyTo, correlationId } = message.properties
    const answer = () => channel.sendToQueue(replyTo, Buffer.from('1'), { correlationId, type })
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

  /** Of different services and commands, answered by a worker of this package, or by one that knows only the address. */
  async function startTwo(stores: readonly (Store | 'none' | undefined)[], more: object, isPlain: boolean) {
    const prefix = uniquePrefix()
    const names = ['A', 'B']
    const routes = Object.fromEntries(names.map((name) => [`${name}::Asked`, { key: `${prefix}.${name}` }]))
    const options = { url: AMQP_URL, prefix, client, ...(isPlain && { requests: { routes } }) }
    if (isPlain) for (const name of names) await startWorker(`${prefix}.${name}`, 0, `${name}::Done`)
    else {
      const worker = createWorker({ transport: amqp(options) })
      ends.push(() => worker.close())
      for (const name of names) worker.handle(`${name}::Asked`, () => ({ type: `${name}::Done`, data: name }))
      await worker.start()
    }
    const transport = amqp({ ...options, ...more })
    const open = async (name: string, store: Store | 'none' | undefined) => {
      const service = `service-${name}`
      const gateway = createGateway({ transport, service, waitMs: 5000, ...(store && { store }) })
      const command = gateway.command({ publish: `${name}::Asked`, outcomes: { [`${name}::Done`]: 'succeeded' } })
      const errors: unknown[] = []
      gateway.on('error', (error) => errors.push(error))
      await gateway.start()
      ends.push(() => gateway.close())
      return { gateway, errors, ask: () => command.request({}) }
    }
    return [await open('A', stores[0]), await open('B', stores[1])] as const
  }

  const one = memoryStore()
  it.each([
    ['that keep nothing', ['none', 'none'] as const, {}, false],
    ['each with a store of its own', [undefined, undefined], {}, false],
    ['each with a store that is given', [memoryStore(), memoryStore()], {}, false],
    ['with direct replies', [undefined, undefined], { replies: 'direct' }, false],
    ['with workers that know only an address', [memoryStore(), memoryStore()], {}, true],
    ['with one store, and workers that know only an address', [one, one], {}, true],
  ])('FM-C19 of different services, %s, get their answers, and report none', async (...[, stores, more, isPlain]) => {
    const [first, other] = await startTwo(stores, more, isPlain)
    for (const { ask } of [other, first, other]) expect(await ask()).toMatchObject({ kind: 'completed' })
    await first.gateway.close()
    expect(await other.ask()).toMatchObject({ kind: 'completed' })
    expect([first, other].map(({ gateway, errors }) => [errors, gateway.counters.orphan])).toEqual([
      [[], 0],
      [[], 0],
    ])
  })

  it('those that come and go leave no queue behind to which nobody answers', async () => {
    const transport = amqp({ url: AMQP_URL, prefix: uniquePrefix(), client })
    const own = () => [...client.queues].filter((queue) => queue.includes('-own-'))
    const before = own().length
    const open = async () => {
      const gateway = createGateway({ transport })
      await gateway.start()
      return gateway
    }
    const first = await open()
    ends.push(() => first.close())
    for (let count = 0; count < 3; count += 1) await (await open()).close()
    const made = own().slice(before)
    expect(made).toHaveLength(4)
    const connection = await amqplib.connect(AMQP_URL)
    ends.push(() => connection.close())
    const isThere = async (queue: string) => {
      const channel = await connection.createChannel()
      channel.on('error', () => {})
      return channel.checkQueue(queue).then(
        () => true,
        () => false,
      )
    }
    expect(await Promise.all(made.map(isThere))).toEqual([true, false, false, false])
  })
})
