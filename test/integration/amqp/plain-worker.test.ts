import amqplib from 'amqplib'
import { createGateway, memoryStore } from 'respond-async'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { until } from '../../../src/testing/contract.js'
import { Health } from '../../../src/transports/amqp/health.js'
import { type AmqpOptions, amqp } from '../../../src/transports/amqp/index.js'
import { Link } from '../../../src/transports/amqp/link.js'
import { QueueReader } from '../../../src/transports/amqp/reader.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'

const missing = await whyNoRabbitMq()
const client = new RecordingClient()
const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of opened.splice(0).reverse()) await end()
})
afterAll(() => (missing === undefined ? client.cleanUp() : undefined))

interface Message {
  readonly content: Buffer
  readonly properties: Readonly<Record<string, string | undefined>>
}

type Answer = (channel: Awaited<ReturnType<typeof openChannel>>, request: Message, prefix: string) => void

async function openChannel() {
  const connection = await amqplib.connect(AMQP_URL, { noDelay: true })
  opened.push(() => connection.close())
  return connection.createChannel()
}

/** A worker as anybody would write it in any language: it reads a queue, and answers as it knows how. */
async function startWorker(prefix: string, answer: Answer): Promise<void> {
  const channel = await openChannel()
  const queue = `${prefix}-worker`
  client.queues.add(queue)
  await channel.assertQueue(queue, { durable: true })
  await channel.bindQueue(queue, `${prefix}.requests`, 'A::Asked')
  await channel.consume(queue, (message) => {
    if (message === null) return
    answer(channel, message as never, prefix)
    channel.ack(message)
  })
}

async function ask(answer: Answer, options: AmqpOptions = {}) {
  const prefix = uniquePrefix()
  const transport = amqp({ url: AMQP_URL, client, prefix, ...options })
  const gateway = createGateway({ transport, store: memoryStore() })
  const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
  await gateway.start()
  opened.push(() => gateway.close())
  await startWorker(prefix, answer)
  return { reply: await command.request({ n: 1 }), gateway, transport }
}

/** An event among others, with one property copied from the request. */
const toTheExchange: Answer = (channel, { content, properties: { correlationId } }, prefix) =>
  void channel.publish(`${prefix}.results`, 'A::Done', content, { correlationId: correlationId ?? '' })

/** The type is what tells results apart, and the default exchange says nothing of it. */
const toTheSender: Answer = (channel, { content, properties: { correlationId = '', replyTo = '' } }) =>
  void channel.sendToQueue(replyTo, content, { correlationId, type: 'A::Done' })

describe.skipIf(missing !== undefined)('a worker that knows nothing of this package', () => {
  it.each([
    ['publishes an event with the correlation id to the exchange', toTheExchange, {}],
    ['FM-C19 answers to reply_to', toTheSender, {}],
    ['answers to reply_to, which is the queue of the recorders', toTheSender, { replyTo: 'recorder' }],
    ['P02 answers to reply_to, which is direct', toTheSender, { replies: 'direct' }],
  ] as const)('%s', async (_, answer, options) => {
    const { reply } = await ask(answer, options)
    expect(reply).toMatchObject({ kind: 'completed', event: { type: 'A::Done', data: { n: 1 } } })
  })

  it.each([
    ['to the exchange', {}, 2],
    ['to reply_to', {}, 0],
    ['to reply_to, which is the queue of the recorders', { replyTo: 'recorder' }, 1],
    ['to reply_to, which is direct', { replies: 'direct' }, 0],
  ] as const)(
    'C9 that answers %s with a CloudEvent that is none: the operation fails at once',
    async (where, options, parked) => {
      const contentType = 'application/cloudevents+json'
      const { reply, transport } = await ask(
        (channel, { properties: { correlationId = '', replyTo = '' } }, prefix) => {
          const content = Buffer.from('{"half":')
          // One of nobody's operation, too.
          if (where === 'to the exchange')
            for (const id of ['unknown', correlationId])
              channel.publish(`${prefix}.results`, 'A::Done', content, { correlationId: id, contentType })
          else channel.sendToQueue(replyTo, content, { correlationId, contentType })
        },
        options,
      )
      expect(reply).toMatchObject({ kind: 'ended', operation: { error: { code: 'ERR_MALFORMED_RESULT' } } })
      await until(() => transport.counters.parked === parked && transport.counters.poison > 0)
    },
  )

  it('S1 gets a reply_to without a slash and without a dot', async () => {
    let replyTo: string | undefined
    await ask((...call) => {
      replyTo = call[1].properties.replyTo
      toTheSender(...call)
    })
    expect(replyTo).toMatch(/^[\w-]+-own-[0-9A-Z]{26}$/)
  })

  it('P03 a gateway says what each kind of reply is worth', () => {
    const durability = (options: AmqpOptions) => amqp({ url: AMQP_URL, ...options }).durability
    expect(durability({})).toEqual({ class: 'durable' })
    expect(durability({ replies: 'direct' })).toEqual({ class: 'process' })
  })

  it.each([true, false])(
    'C9 what cannot be understood is counted, and goes on to nobody (own queue: %s)',
    async (isOwn) => {
      const channel = await openChannel()
      const [queue, parked] = [uniquePrefix(), uniquePrefix()]
      for (const name of [queue, parked]) client.queues.add(name)
      await channel.assertQueue(parked)
      const deadLetters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': parked }
      const declare = () => channel.assertQueue(queue, { arguments: deadLetters })
      await declare()
      const counted: string[] = []
      const connect = () => client.connect(AMQP_URL)
      const rules = { waitForBroker: false, canReconnect: true, isOurs: true }
      const link = new Link({ clock: systemClock, health: new Health(), connect, ...rules })
      await link.start()
      opened.push(() => link.close())
      const reader = new QueueReader({
        ...{ sources: [{ queue, declare }], isOwn, link, clock: systemClock, concurrency: 1 },
        onMessage: () => Promise.reject(new Error('nothing comes through')),
        parse() {
          throw new SyntaxError('no envelope')
        },
        count: (what) => counted.push(what),
        probe: async () => {},
        isBlocked: () => false,
        onClosed: () => {},
      })
      await link.add(reader)
      channel.sendToQueue(queue, Buffer.from('?'))
      channel.sendToQueue(queue, Buffer.from('?'))
      await until(() => counted.filter((what) => what === 'poison').length === 2)
      if (!isOwn) await until(async () => (await channel.checkQueue(parked)).messageCount === 2)
      expect(counted.includes('requeued')).toBe(false)
      await reader.close()
    },
  )
})
