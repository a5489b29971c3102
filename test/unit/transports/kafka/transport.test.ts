import { describe, expect, it } from 'vitest'
import type { KafkaClient, TopicFacts } from '../../../../src/transports/kafka/client.js'
import { type KafkaOptions, kafka } from '../../../../src/transports/kafka/index.js'

async function start(topics: KafkaOptions['topics'], facts: (topic: string) => TopicFacts, maxBodyBytes = 1_000_000) {
  const client: Partial<KafkaClient> = {
    connect: async () => {},
    close: async () => {},
    describe: async (names) => new Map(names.map((name) => [name, facts(name)])),
    produce: async () => {},
  }
  const transport = kafka({ client: client as KafkaClient, topics, maxBodyBytes })
  await transport.start()
  return transport
}

describe('the largest body of the Kafka transport', () => {
  const sizes: Record<string, number> = { small: 5000, medium: 50_000, tiny: 1000 }
  const known = (topic: string) => ({ partitions: 1, maxMessageBytes: sizes[topic] })
  const ofTypes = { A: 'small', B: 'medium' }

  it('leaves room for the headers, in the smallest topic of requests and in that of each type', async () => {
    const transport = await start({ requests: ofTypes, results: 'tiny' }, known)
    const of = ['A', 'B', 'C'].map((type) => transport.maxBodyBytesOf?.(type))
    expect([transport.maxBodyBytes, ...of]).toEqual([2500, 2500, 50_000 - 4096, 1_000_000])
    await transport.close()
  })

  it('is that of the option where this is less', async () => {
    const transport = await start({ requests: ofTypes }, known, 900)
    expect([transport.maxBodyBytes, transport.maxBodyBytesOf?.('B')]).toEqual([900, 900])
    await transport.close()
  })

  it('is that of the option where the broker does not say, and that is told', async () => {
    const transport = await start({ requests: ofTypes, results: 'tiny' }, () => ({ partitions: 1 }))
    expect(transport.maxBodyBytes).toBe(1_000_000)
    expect(transport.skippedChecks).toEqual(['max.message.bytes of small', 'max.message.bytes of medium'])
    await transport.close()
  })

  it('of a topic that only a function names is learnt when it is asked for, by one look-up', async () => {
    const looked: string[] = []
    const transport = await start({ requests: () => 'medium', results: 'tiny' }, (topic) => {
      looked.push(topic)
      return known(topic)
    })
    expect(transport.maxBodyBytesOf?.('A')).toBe(1_000_000)
    const message = {
      id: '1',
      type: 'A',
      source: 's',
      time: 0,
      headers: {},
      contentType: 'a/b',
      body: Buffer.from('1'),
    }
    await Promise.all([
      transport.learnMaxBodyBytesOf?.('A'),
      transport.learnMaxBodyBytesOf?.('B'),
      transport.publish(message as never, { channel: 'requests' }),
    ])
    expect(looked).toEqual(['tiny', 'medium'])
    expect(transport.maxBodyBytesOf?.('A')).toBe(50_000 - 4096)
    expect(transport.learnMaxBodyBytesOf?.('A')).toBeUndefined()
    await transport.close()
  })

  it('of such a topic is told as unknown where the broker does not say', async () => {
    const transport = await start({ requests: () => 'medium', results: 'tiny' }, () => ({ partitions: 1 }))
    await transport.learnMaxBodyBytesOf?.('A')
    expect(transport.skippedChecks).toEqual(['max.message.bytes of medium'])
    expect(transport.maxBodyBytesOf?.('A')).toBe(1_000_000)
    await transport.close()
  })

  it('is no question where the topic is known, or there is none', async () => {
    const requests = (type: string) => (type === 'A' ? 'tiny' : undefined)
    const transport = await start({ requests, results: 'tiny' }, known)
    expect(['A', 'B'].map((type) => transport.learnMaxBodyBytesOf?.(type))).toEqual([undefined, undefined])
    await transport.close()
  })
})

describe('the address for answers of the Kafka transport', () => {
  const results = { A: 'one', B: 'two' }

  it.each([
    [{ requests: 'q', results: 'one' }, { durability: { class: 'durable' } }],
    [{ requests: 'q', results, replyTo: 'two' }, { durability: { class: 'durable' } }],
    [{ requests: 'q', results }, { missing: expect.stringContaining('topics.replyTo of kafka()') }],
  ])('with topics %o is %o', (topics, expected) => {
    const transport = kafka({ client: { produce: async () => {} } as Partial<KafkaClient> as KafkaClient, topics })
    expect(transport.replyAddress?.({ own: true, shared: true })).toEqual(expected)
  })
})
