import { describe, expect, it, vi } from 'vitest'
import { toMessage } from '../../../../src/core/event.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import type { KafkaClient, TopicFacts } from '../../../../src/transports/kafka/client.js'
import { kafka } from '../../../../src/transports/kafka/index.js'
import { toProduceError as ofKafkajs } from '../../../../src/transports/kafka/kafkajs/errors.js'
import { toProduceError as ofPlatformatic } from '../../../../src/transports/kafka/platformatic/errors.js'

describe('what Kafka refuses for good', () => {
  it.each([
    ['MESSAGE_TOO_LARGE', true],
    ['INVALID_RECORD', true],
    ['TOPIC_AUTHORIZATION_FAILED', false],
    ['NOT_ENOUGH_REPLICAS', false],
  ])('FM-B13 is told apart from what may pass: %s', (error, isPermanent) => {
    const kafkajs = ofKafkajs(Object.assign(new Error('refused'), { type: error }))
    const platformatic = ofPlatformatic(Object.assign(new Error('refused'), { apiId: error }))
    expect([kafkajs.isPermanent, platformatic.isPermanent]).toEqual([isPermanent, isPermanent])
  })

  it('is certain although @platformatic/kafka adds an error to it that says nothing', () => {
    const make = (apiId: string) => Object.assign(new Error('refused'), { apiId })
    const errors = [make('UNKNOWN_SERVER_ERROR'), make('INVALID_RECORD')]
    expect(ofPlatformatic(Object.assign(new Error('several'), { errors }))).toMatchObject({ refusal: 'rejected' })
    const unclear = [make('UNKNOWN_SERVER_ERROR'), make('MESSAGE_TOO_LARGE')]
    expect(ofPlatformatic(Object.assign(new Error('several'), { errors: unclear }))).toMatchObject({
      refusal: 'unknown',
    })
  })

  it.each([
    ['is not there', 'gone', 1],
    // Brokers answer such names with an error, and not that there is no such topic.
    ['can be none', 'no/such topic', 0],
  ])('FM-C18 is a result for a topic that %s', async (_, replyTo, looks) => {
    const clock = createFakeClock()
    const describeTopics = vi.fn(async (names: readonly string[]) => {
      return new Map<string, TopicFacts>(names.flatMap((name) => (name === 'gone' ? [] : [[name, { partitions: 1 }]])))
    })
    const nothing = async () => {}
    const client = { connect: nothing, close: nothing, produce: nothing, describe: describeTopics }
    const transport = kafka({ client: client as Partial<KafkaClient> as KafkaClient, topics: { results: 'r' }, clock })
    await transport.start()
    const result = toMessage({ type: 'Made', source: 'test', data: {} }, clock)
    await expect(transport.publish(result, { channel: 'results', replyTo })).rejects.toMatchObject({
      code: 'ERR_PUBLISH_REJECTED',
      details: { isPermanent: true, outcome: 'not-accepted' },
    })
    // The look at the start, and one for the address.
    expect(describeTopics).toHaveBeenCalledTimes(1 + looks)
    await transport.close()
  })
})
