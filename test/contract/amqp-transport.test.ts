import amqplib from 'amqplib'
import amqplib1 from 'amqplib1'
import amqplib010 from 'amqplib010'
import { afterAll, describe, it } from 'vitest'
import { transportContract } from '../../src/testing/transport-contract.js'
import { type AmqpClient, amqp } from '../../src/transports/amqp/index.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../support/rabbitmq.js'

const missing = await whyNoRabbitMq()
const VERSIONS: Readonly<Record<string, AmqpClient>> = {
  'amqplib 2': amqplib,
  'amqplib 1': amqplib1,
  'amqplib 0.10': amqplib010,
}

describe.skipIf(missing !== undefined).each(Object.entries(VERSIONS))('RabbitMQ through %s', (name, module) => {
  const client = new RecordingClient(module)
  const prefix = uniquePrefix()
  afterAll(() => client.cleanUp(), 60_000)

  describe('by its URL', () => {
    const create = () => amqp({ url: AMQP_URL, client, prefix, replay: true })
    for (const one of transportContract(create, { quietMs: 150 })) it(one.name, one.run)
  })

  describe('with a queue for each replay', () => {
    const create = () => amqp({ url: AMQP_URL, client, prefix: `${prefix}-queues`, replay: 'queues' })
    const cases = transportContract(create, { quietMs: 150 })
    const named = cases.filter((one) => one.name.startsWith('a replay under a name'))
    for (const one of named) it(one.name, one.run)
  })

  // The release in between has no more than what any release does, to keep the suite short.
  if (name === 'amqplib 1') return
  describe('over one connection that is given to it', () => {
    const connection = () => client.connect(AMQP_URL, { noDelay: true })
    const create = async () => amqp({ connection, prefix, replay: true })
    for (const one of transportContract(create, { quietMs: 150 })) it(one.name, one.run)
  })
})
