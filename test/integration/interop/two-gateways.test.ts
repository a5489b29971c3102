import amqplib from 'amqplib'
import { Kafka, logLevel } from 'kafkajs'
import { createGateway, memoryStore, nest, type Store, spring, type Transport } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { kafka } from 'respond-async/kafka'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { missing } from './worker-process.js'

const noRabbit = await whyNoRabbitMq()
const noBroker = missing(noKafka)
const PROFILES = { spring: spring(), nest: nest() } as const
type ProfileName = keyof typeof PROFILES

const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of opened.splice(0).reverse()) await end()
})

/** A gateway of a service whose instances share one store. */
async function open(transport: Transport, store: Store, [service, type, profile]: [string, string, ProfileName]) {
  const gateway = createGateway({ transport, store, service })
  const outcomes = { Done: 'succeeded', Refused: 'failed' } as const
  const command = gateway.command({ publish: type, outcomes, profile: PROFILES[profile] })
  await gateway.start()
  opened.push(() => gateway.close({ drainMs: 0 }))
  return { gateway, command }
}

/** Asks at the one, and waits for the end at the other, whose recorder may be the one that gets the reply. */
async function askAndWait(one: Awaited<ReturnType<typeof open>>, other: Awaited<ReturnType<typeof open>>, n: number) {
  const { operation } = await one.command.request({ n }, { waitMs: 0 })
  return other.gateway.operations.wait(operation.id, { waitMs: 20_000 })
}

describe.skipIf(noRabbit !== undefined).each(['spring', 'nest'] as const)('two gateways and a %s worker', (profile) => {
  const client = new RecordingClient()
  afterAll(() => client.cleanUp())

  /** Answers as the template of Spring and the server of Nest do: to `reply_to`, with the correlation id and no type; Nest says no content type. */
  async function answering(queue: string, delayMs = 0) {
    const connection = await amqplib.connect(AMQP_URL)
    const channel = await connection.createChannel()
    await channel.assertQueue(queue)
    client.queues.add(queue)
    await channel.consume(queue, (message) => {
      if (message === null) return
      const { replyTo, correlationId } = message.properties
      const { n, data, id } = JSON.parse(message.content.toString())
      const value = { n: n ?? data?.n }
      const body = profile === 'nest' ? { response: value, isDisposed: true, id } : value
      const answer = () => {
        channel.sendToQueue(replyTo, Buffer.from(JSON.stringify(body)), {
          correlationId,
          ...(profile === 'spring' && { contentType: 'application/json' }),
        })
        channel.ack(message)
      }
      setTimeout(answer, delayMs)
    })
    opened.push(() => connection.close())
  }

  it.each(['own', 'recorder'] as const)(
    'on RabbitMQ, replies to the queue of: %s',
    async (replyTo) => {
      const prefix = uniquePrefix()
      const type = `${prefix}.ask`
      await answering(type)
      const store = memoryStore()
      const make = () =>
        amqp({ url: AMQP_URL, client, prefix, replyTo, requests: { routes: { [type]: { key: type } } } })
      const gateways = [
        await open(make(), store, [prefix, type, profile]),
        await open(make(), store, [prefix, type, profile]),
      ]
      const [one, two] = gateways as [(typeof gateways)[0], (typeof gateways)[0]]
      for (let n = 0; n < 4; n += 1) {
        const ended = await (n % 2 === 0 ? askAndWait(one, two, n) : askAndWait(two, one, n))
        expect(ended).toMatchObject({ state: 'succeeded', result: { type: 'Done' } })
        expect(JSON.parse(Buffer.from(ended?.result?.body ?? []).toString())).toEqual({ n })
      }
    },
    60_000,
  )

  it('on RabbitMQ, a reply that comes after its gateway has gone is recorded by the other', async () => {
    const prefix = uniquePrefix()
    const type = `${prefix}.ask`
    await answering(type, 1000)
    const store = memoryStore()
    const requests = { routes: { [type]: { key: type } } }
    const make = () => amqp({ url: AMQP_URL, client, prefix, replyTo: 'recorder', requests })
    const one = await open(make(), store, [prefix, type, profile])
    const two = await open(make(), store, [prefix, type, profile])
    const { operation } = await one.command.request({ n: 7 }, { waitMs: 0 })
    await one.gateway.close({ drainMs: 0 })
    const ended = await two.gateway.operations.wait(operation.id, { waitMs: 20_000 })
    expect(ended).toMatchObject({ state: 'succeeded' })
  }, 60_000)
})

describe.skipIf(noBroker !== undefined).each(['spring', 'nest'] as const)('two gateways and a %s worker', (profile) => {
  let topics: TestTopics
  let type: string
  let replies: string
  beforeAll(async () => {
    topics = await testTopics()
    type = await topics.create('ask')
    replies = await topics.create('replies', 3)
  }, 180_000)
  afterAll(() => topics?.remove())

  /** Answers as the templates of both do: to the reply topic, with the correlation id as it came and no type. */
  async function answering(delayMs: number) {
    const raw = new Kafka({ brokers: topics.brokers, logLevel: logLevel.NOTHING })
    const [producer, consumer] = [raw.producer(), raw.consumer({ groupId: `${topics.prefix}.worker` })]
    await Promise.all([producer.connect(), consumer.connect()])
    await consumer.subscribe({ topics: [type], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message }) => {
        const { kafka_replyTopic: topic, kafka_correlationId: id } = message.headers ?? {}
        await new Promise((resolve) => setTimeout(resolve, delayMs))
        const headers = {
          kafka_correlationId: id as Buffer,
          ...(profile === 'nest' && { 'kafka_nest-is-disposed': '1' }),
        }
        await producer.send({ topic: String(topic), messages: [{ value: String(message.value), headers }] })
      },
    })
    opened.push(() => Promise.all([producer.disconnect(), consumer.disconnect()]))
  }

  it('on Kafka, each sees the replies to the other, also after that has gone', async () => {
    await answering(200)
    const store = memoryStore()
    const make = () =>
      kafka({ brokers: topics.brokers, topics: { requests: type, results: replies, replyTo: replies } })
    const one = await open(make(), store, [topics.prefix, type, profile])
    const two = await open(make(), store, [topics.prefix, type, profile])
    for (let n = 0; n < 2; n += 1) {
      const ended = await (n % 2 === 0 ? askAndWait(one, two, n) : askAndWait(two, one, n))
      expect(ended).toMatchObject({ state: 'succeeded', result: { type: 'Done' } })
      expect(JSON.parse(Buffer.from(ended?.result?.body ?? []).toString())).toEqual({ n })
    }
    const { operation } = await one.command.request({ n: 7 }, { waitMs: 0 })
    await one.gateway.close({ drainMs: 0 })
    expect(await two.gateway.operations.wait(operation.id, { waitMs: 40_000 })).toMatchObject({ state: 'succeeded' })
  }, 120_000)
})
