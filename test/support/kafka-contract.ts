import { afterAll, beforeAll, describe, it } from 'vitest'
import { transportContract } from '../../src/testing/transport-contract.js'
import { type KafkaClient, kafka } from '../../src/transports/kafka/index.js'
import { noKafka, type TestTopics, testTopics } from './kafka.js'

/** Runs the contract suite of transports on a client; `missing` says why it cannot be run. */
export function describeKafka(name: string, connect: (brokers: string[]) => KafkaClient, missing = noKafka): void {
  describe.skipIf(missing !== undefined)(
    `the Kafka transport on ${name}${missing ? ` (skipped: ${missing})` : ''}`,
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
