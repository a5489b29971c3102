import { created, createGateway } from 'respond-async'
import { createWorker } from 'respond-async/worker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KafkaBroker } from '../../../scripts/brokers/kafka.js'
import { kafka } from '../../../src/transports/kafka/index.js'
import { type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'
import { whyNoOwnKafka } from '../../support/own-kafka.js'

const VERSION = '4.2.0'

interface Events {
  'PlaceOrder::Requested': { article: string }
  'PlaceOrder::Placed': { article: string; number: number }
}

const missing = await whyNoOwnKafka(VERSION)

describe.skipIf(missing)(`a broker of Kafka ${VERSION}${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const broker = new KafkaBroker({ version: VERSION })
  let topics: TestTopics

  beforeAll(async () => {
    await broker.start()
    topics = await testTopics([broker.address])
  }, 180_000)

  afterAll(async () => {
    await topics?.remove()
    await broker.stop()
    broker.remove()
  }, 60_000)

  it.each(Object.entries(kafkaClients))(
    'takes a request there and its result back, over %s',
    {
      timeout: 120_000,
    },
    async (name, connect) => {
      const part = name.replace(/\W+/g, '-')
      const made = {
        requests: await topics.create(`${part}.requests`, 2),
        results: await topics.create(`${part}.results`, 2),
      }
      const transport = () => kafka({ client: connect(topics.brokers), topics: made })
      const worker = createWorker<Events>({ transport: transport(), group: `${topics.prefix}.${part}` })
      worker.handle('PlaceOrder::Requested', ({ data: { article } }) => {
        return { type: 'PlaceOrder::Placed', data: { article, number: 1 } }
      })
      const gateway = createGateway<Events>({ transport: transport() })
      const placeOrder = gateway.command({
        publish: 'PlaceOrder::Requested',
        outcomes: { 'PlaceOrder::Placed': created(({ data }) => `/orders/${data.number}`) },
      })
      try {
        await worker.start()
        await gateway.start()
        const reply = await placeOrder.request({ article: 'tea' }, { waitMs: 30_000 })
        expect(reply).toMatchObject({
          kind: 'completed',
          event: { type: 'PlaceOrder::Placed', data: { article: 'tea', number: 1 } },
        })
      } finally {
        await gateway.close()
        await worker.close()
      }
    },
  )
})
