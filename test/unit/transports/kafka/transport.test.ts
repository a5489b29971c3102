import { createGateway } from 'respond-async'
import { describe, expect, it, vi } from 'vitest'
import { type EventMessage, toMessage } from '../../../../src/core/event.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { type KafkaClient, ProduceError, type TopicFacts } from '../../../../src/transports/kafka/client.js'
import { type KafkaOptions, kafka } from '../../../../src/transports/kafka/index.js'

async function start(topics: KafkaOptions['topics'], facts: (topic: string) => TopicFacts, maxBodyBytes = 1_000_000) {
  return startOn({ describe: async (names) => new Map(names.map((name) => [name, facts(name)])) }, topics, maxBodyBytes)
}

async function startOn(given: Partial<KafkaClient>, topics: KafkaOptions['topics'], maxBodyBytes = 1_000_000) {
  const idle = async () => {}
  const client: Partial<KafkaClient> = { connect: idle, close: idle, produce: idle, ...given }
  const transport = kafka({ client: client as KafkaClient, topics, maxBodyBytes })
  await transport.start()
  return transport
}

const message: EventMessage = toMessage({ type: 'A', source: 's', data: 1 }, createFakeClock())

describe('a gateway on Kafka', () => {
  const facts = () => ({ partitions: 1, cleanupPolicy: 'delete' })
  it.each([
    ['a command', { A: 'a' }, { publish: 'B' }, 'B'],
    ['the cancel event of a command', { A: 'a' }, { publish: 'A', cancel: 'Stop' }, 'Stop'],
    ['a command, by a function', (type: string) => (type === 'A' ? 'a' : undefined), { publish: 'B' }, 'B'],
  ])('does not start without a topic for %s', async (...[, requests, more, type]) => {
    const transport = await start({ requests, results: 'r' }, facts)
    const gateway = createGateway({ transport })
    gateway.command({ outcomes: { Done: 'succeeded' }, ...more })
    const message = `topics.requests has no topic for ${type}.`
    await expect(gateway.start()).rejects.toMatchObject({ code: 'ERR_CONFIG', message })
    await gateway.close()
    await transport.close()
  })
})

describe('the largest body of the Kafka transport', () => {
  const sizes: Record<string, number> = { small: 5000, medium: 50_000, tiny: 1000 }
  const known = (topic: string) => ({ partitions: 1, maxMessageBytes: sizes[topic], cleanupPolicy: 'delete' })
  const unsized = () => ({ partitions: 1, cleanupPolicy: 'delete' })
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
    const transport = await start({ requests: ofTypes, results: 'tiny' }, unsized)
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
    await Promise.all([
      transport.learnMaxBodyBytesOf?.('A'),
      transport.learnMaxBodyBytesOf?.('B'),
      transport.publish(message, { channel: 'requests' }),
    ])
    expect(looked).toEqual(['tiny', 'medium'])
    expect(transport.maxBodyBytesOf?.('A')).toBe(50_000 - 4096)
    expect(transport.learnMaxBodyBytesOf?.('A')).toBeUndefined()
    await transport.close()
  })

  it('of such a topic is told as unknown where the broker does not say', async () => {
    const transport = await start({ requests: () => 'medium', results: 'tiny' }, unsized)
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

describe('a topic of requests that is deleted while the Kafka transport is open', () => {
  const requests = { channel: 'requests' } as const
  const setup = async () => {
    const known = new Map<string, TopicFacts>([['q', { partitions: 1, maxMessageBytes: 50_000 }]])
    const calls = { produce: 0, describe: 0 }
    const transport = await startOn(
      {
        async describe(names) {
          calls.describe += 1
          return new Map([...known].filter(([name]) => names.includes(name)))
        },
        async produce(records) {
          calls.produce += 1
          const { maxMessageBytes = 0 } = known.get('q') ?? {}
          if (!known.has('q')) throw new ProduceError('missing', new Error('Unknown topic q.'))
          if (Number(records[0]?.value.byteLength) > maxMessageBytes)
            throw new ProduceError('rejected', new Error('MESSAGE_TOO_LARGE'), true)
        },
      },
      { requests: 'q' },
    )
    return { known, calls, transport }
  }

  it('FM-B6 is refused by its name, without asking to write again, until it is made anew', async () => {
    const { known, calls, transport } = await setup()
    known.clear()
    const refused = { code: 'ERR_PUBLISH_REJECTED', message: 'Kafka has no topic q.' }
    await expect(transport.publish(message, requests)).rejects.toMatchObject(refused)
    await expect(transport.publish(message, requests)).rejects.toMatchObject(refused)
    expect(calls).toEqual({ produce: 1, describe: 2 })
    known.set('q', { partitions: 3, maxMessageBytes: 20_000 })
    await transport.publish(message, requests)
    expect(calls).toEqual({ produce: 2, describe: 3 })
    expect(transport.maxBodyBytesOf?.('A')).toBe(20_000 - 4096)
    await transport.close()
  })

  it('FM-B13 and made anew with a smaller limit is looked up again once a body was too large for it', async () => {
    const { known, transport } = await setup()
    known.set('q', { partitions: 1, maxMessageBytes: 10_000 })
    const large = toMessage({ type: 'A', source: 's', data: 'x'.repeat(12_000) }, createFakeClock())
    await expect(transport.publish(large, requests)).rejects.toMatchObject({ code: 'ERR_PUBLISH_REJECTED' })
    await transport.learnMaxBodyBytesOf?.('A')
    expect(transport.maxBodyBytesOf?.('A')).toBe(10_000 - 4096)
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

describe('a shared reader of the Kafka transport that is given no partition', () => {
  const read = async (channel: 'requests' | 'results') => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const clock = createFakeClock()
    const idle = async () => {}
    const given: Partial<KafkaClient> = {
      connect: idle,
      close: idle,
      produce: idle,
      describe: async (names) => new Map(names.map((name) => [name, { partitions: 3, cleanupPolicy: 'delete' }])),
      async read(request) {
        await request.assigned({ partitions: [], isLeader: false, committed: async () => new Map(), commit: idle })
        return { pause: () => {}, resume: () => {}, commit: idle, close: idle }
      },
    }
    const transport = kafka({ client: given as KafkaClient, topics: { requests: 'q', results: 'r' }, clock })
    await transport.start()
    const reading = { kind: 'shared', group: 'workers' } as const
    await transport.subscribe({ channel, types: ['A'], reading }, async () => 'ack')
    await clock.advance(30_000)
    const texts = warn.mock.calls.map(([text]) => text)
    warn.mockRestore()
    await transport.close()
    return texts
  }

  it('FM-B6 warns when it is a worker', async () => {
    expect(await read('requests')).toEqual([
      expect.stringContaining('workers has more members than q has partitions (3)'),
    ])
  })

  it('says nothing when it is a recorder', async () => {
    expect(await read('results')).toEqual([])
  })
})

describe('a topic of requests that is compacted', () => {
  const requests = { channel: 'requests' } as const
  const policies: Record<string, string | undefined> = { kept: 'delete', both: 'compact,delete', one: 'compact' }
  const facts = (topic: string): TopicFacts => ({
    partitions: 1,
    maxMessageBytes: 50_000,
    cleanupPolicy: policies[topic],
  })
  const refused = (topic: string) => ({
    code: 'ERR_CONFIG',
    message: expect.stringContaining(`${topic} is compacted: a request could be removed`),
  })

  it.each(['one', 'both'])('is refused at the start: %s', async (topic) => {
    await expect(start({ requests: { A: 'kept', B: topic }, results: 'kept' }, facts)).rejects.toMatchObject(
      refused(topic),
    )
  })

  it('is none where it holds results alone, as read models read those', async () => {
    const transport = await start({ requests: 'kept', results: 'one' }, facts)
    await transport.publish(message, { channel: 'results' })
    await transport.close()
  })

  it('is refused to a worker where a function names it', async () => {
    const transport = await start({ requests: () => 'one' }, facts)
    const reading = { kind: 'shared', group: 'workers' } as const
    const call = transport.subscribe({ channel: 'requests', types: ['A'], reading }, async () => 'ack')
    await expect(call).rejects.toMatchObject(refused('one'))
    await transport.close()
  })

  it('refuses each request where a function names it, until its policy is another one', async () => {
    let cleanupPolicy = 'compact'
    const transport = await start({ requests: () => 'one' }, () => ({ ...facts('one'), cleanupPolicy }))
    const details = { isPermanent: true, outcome: 'not-accepted' }
    for (const learnt of [false, true]) {
      if (learnt) await transport.learnMaxBodyBytesOf?.('A')
      await expect(transport.publish(message, requests)).rejects.toMatchObject({
        code: 'ERR_PUBLISH_REJECTED',
        message: expect.stringContaining('is compacted'),
        details,
      })
    }
    cleanupPolicy = 'delete'
    await transport.publish(message, requests)
    await transport.close()
  })

  it('may be one where the broker does not say, and that is told', async () => {
    const transport = await start({ requests: { A: 'unsaid' }, results: 'kept' }, facts)
    expect(transport.skippedChecks).toEqual(['cleanup.policy of unsaid'])
    await transport.close()
    const byFunction = await start({ requests: () => 'unsaid' }, facts)
    await byFunction.learnMaxBodyBytesOf?.('A')
    expect(byFunction.skippedChecks).toEqual(['cleanup.policy of unsaid'])
    await byFunction.close()
  })
})
