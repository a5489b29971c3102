import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { transportContract } from '../../src/testing/transport-contract.js'
import { type KafkaClient, kafka, kafkajs, platformatic } from '../../src/transports/kafka/index.js'
import { noKafka, type TestTopics, testTopics } from '../support/kafka.js'

const clients: Record<string, (brokers: string[]) => KafkaClient> = {
  '@platformatic/kafka': (brokers) => platformatic({ bootstrapBrokers: brokers }),
  kafkajs: (brokers) => kafkajs(new Kafka({ brokers, logLevel: logLevel.NOTHING })),
}

for (const [name, connect] of Object.entries(clients)) {
  describe.skipIf(noKafka !== undefined)(
    `the Kafka transport on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`,
    () => {
      let topics: TestTopics
      // One partition each: the suite expects the order of a whole channel, which Kafka promises per key only.
      let made: { readonly requests: string; readonly results: string }
      beforeAll(async () => {
        topics = await testTopics()
        made = { requests: await topics.create('requests'), results: await topics.create('results') }
      }, 180_000)
      afterAll(() => topics?.remove())

      const create = () =>
        kafka({
          client: connect(topics.brokers),
          topics: {
            // A request that no worker is there for is one whose topic nobody has made.
            requests: (type) => (type.startsWith('Contract::Unheard') ? `${topics.prefix}.unheard` : made.requests),
            results: made.results,
          },
        })
      for (const { name: title, run, skip } of transportContract(create, { timeoutMs: 12_000, quietMs: 300 })) {
        // The contract itself says why a case cannot be run on a transport.
        if (skip === undefined) it(title, run, 30_000)
        else it.skip(`${title} (${skip})`)
      }
    },
  )
}
