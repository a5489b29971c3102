import amqplib from 'amqplib'
import amqplib010 from 'amqplib010'
import { afterAll, describe, it } from 'vitest'
import { transportContract } from '../../src/testing/transport-contract.js'
import { type AmqpClient, amqp } from '../../src/transports/amqp/index.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../support/rabbitmq.js'

const missing = await whyNoRabbitMq()
const VERSIONS: Readonly<Record<string, AmqpClient>> = { 'amqplib 2': amqplib, 'amqplib 0.10': amqplib010 }

describe.skipIf(missing !== undefined).each(Object.entries(VERSIONS))('RabbitMQ through %s', (_, module) => {
  const client = new RecordingClient(module)
  const prefix = uniquePrefix()
  afterAll(() => client.cleanUp(), 60_000)

  describe('by its URL', () => {
    const create = () => amqp({ url: AMQP_URL, client, prefix, replay: true })
    for (const { name, run } of transportContract(create, { quietMs: 150 })) it(name, run)
  })

  describe('with a queue for each replay', () => {
    const create = () => amqp({ url: AMQP_URL, client, prefix: `${prefix}-queues`, replay: 'queues' })
    const cases = transportContract(create, { quietMs: 150 })
    const named = cases.filter((one) => one.name.startsWith('a replay under a name'))
    for (const { name, run } of named) it(name, run)
  })

  describe('over one connection that is given to it', () => {
    const connection = () => client.connect(AMQP_URL, { noDelay: true })
    const create = async () => amqp({ connection, prefix, replay: true })
    for (const { name, run } of transportContract(create, { quietMs: 150 })) it(name, run)
  })
})
