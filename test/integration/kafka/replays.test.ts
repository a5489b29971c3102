import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { memoryStore } from 'respond-async'
import { type KafkaClient, kafka, kafkajs } from 'respond-async/kafka'
import { createReadModel, defineProjection } from 'respond-async/read-model'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import type { Reading, Transport } from '../../../src/core/transport.js'
import { until } from '../../../src/testing/contract.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'

const projection = defineProjection<{ Done: { id: string } }, { id: string }>({
  name: 'things',
  version: 1,
  key: ({ data }) => data.id,
  on: { Done: (_, { data }) => data },
})

const opened: (() => Promise<unknown>)[] = []

async function started(client: KafkaClient, results: string): Promise<Transport> {
  const transport = kafka({ client, topics: { results } })
  await transport.start()
  opened.push(() => transport.close())
  return transport
}

async function publish(transport: Transport, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    const message = toMessage({ type: 'Done', source: 'test', data: { id } }, systemClock)
    await transport.publish(message, { channel: 'results' })
  }
}

const REPLAY: Reading = { kind: 'replay', from: 'beginning' }

/** A reader, what it has got, and the reason why it ended. */
async function read(transport: Transport, reading: Reading = REPLAY, handle = async (): Promise<void> => {}) {
  const got: string[] = []
  const subscription = { channel: 'results', types: ['Done'], reading } as const
  const reader = await transport.subscribe(subscription, async ({ id }) => {
    got.push(id)
    await handle()
    return undefined
  })
  const ends: unknown[] = []
  void reader.ended?.then((reason) => ends.push(reason))
  return { reader, got, ends }
}

describe.skipIf(noKafka !== undefined)(`a replay of a topic${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
  let made: TestTopics
  let admin: Admin
  beforeAll(async () => {
    made = await testTopics()
    admin = new Admin({ clientId: made.prefix, bootstrapBrokers: made.brokers })
  }, 180_000)
  afterEach(async () => {
    for (const end of opened.splice(0).reverse()) await end()
  })
  afterAll(async () => {
    await admin?.close()
    await made?.remove()
  })

  /** Has the broker delete all records of a topic, as retention does in the end. */
  async function empty(topic: string): Promise<void> {
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: -1n }] }] })
  }

  /** Has the topic deleted, and made again under its name. */
  async function remake(topic: string): Promise<void> {
    await admin.deleteTopics({ topics: [topic] })
    const again = () => admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 })
    await until(() => again().then(...([() => true, () => false] as const)), 30_000)
  }

  for (const [name, connect] of Object.entries(kafkaClients)) {
    const title = name.replace(/\W/g, '')

    it(`ends, with the reason, when records are deleted that it has not read, on ${name}`, async () => {
      const topic = await made.create(`${title}.lost`)
      const transport = await started(connect(made.brokers), topic)
      let release = (): void => {}
      const standing = new Promise<void>((resolve) => {
        release = resolve
      })
      await publish(transport, ...Array.from({ length: 1100 }, (_, n) => `${n}`))
      const { ends, got } = await read(transport, undefined, () => standing)
      await until(() => got.length === 1, 20_000)
      // By now it has read ahead as far as it does, and stands still.
      await sleep(2000)
      await publish(transport, 'never read')
      await empty(topic)
      release()
      await until(() => got.length >= 1100, 20_000)
      await publish(transport, 'behind the gap')
      await until(() => ends.length === 1, 20_000)
      expect(ends[0]).toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('deleted by retention') })
      expect(got).toHaveLength(1100)
      await transport.check()
    }, 90_000)

    it(`ends when its topic was made anew, and its read model catches up with the new one where it can load, on ${name}`, async () => {
      const topic = await made.create(`${title}.anew`)
      const transport = await started(connect(made.brokers), topic)
      // So many that the new topic does not have that offset again before anybody looks.
      await publish(transport, ...Array.from({ length: 1000 }, (_, n) => `${n}`))
      const things = createReadModel({ transport, store: memoryStore(), projection, load: () => [] })
      const without = createReadModel({ transport, store: memoryStore(), projection })
      const errors: string[] = []
      const refusals: string[] = []
      things.on('error', ({ code }) => errors.push(code))
      without.on('error', ({ code }) => refusals.push(code))
      for (const each of [things, without]) {
        await each.start()
        opened.push(() => each.close())
      }
      const { reader, ends } = await read(transport)
      // One that has read nothing yet misses nothing by reading the new topic.
      await reader.caughtUp
      await remake(topic)
      await until(async () => {
        await publish(transport, 'd').catch(() => {})
        await sleep(200)
        return ends.length === 1 && errors.includes('ERR_NOT_CAUGHT_UP')
      }, 60_000)
      expect(ends[0]).toMatchObject({ code: 'ERR_CONFIG' })
      // What was published meanwhile may have been refused, as the topic was away.
      await until(async () => {
        await publish(transport, 'd').catch(() => {})
        await sleep(200)
        return things.status.isReady && (await things.get('d')) !== undefined
      }, 60_000)
      // Nobody has given it what was in the topic that is gone.
      await until(() => refusals.includes('ERR_NOT_REBUILDABLE'), 20_000)
      expect(without.status.isReady).toBe(false)
    }, 150_000)

    it(`refuses a read model whose topic was made anew, and longer, while it was down, on ${name}`, async () => {
      const topic = await made.create(`${title}.another`)
      const store = memoryStore()
      const first = await started(connect(made.brokers), topic)
      await publish(first, 'a', 'b', 'c')
      const before = createReadModel({ transport: first, store, projection })
      await before.start()
      await before.close()
      await first.close()
      await remake(topic)
      const transport = await started(connect(made.brokers), topic)
      const ids = Array.from({ length: 10 }, (_, n) => `n${n}`)
      await until(
        () =>
          publish(transport, 'first').then(
            () => true,
            () => false,
          ),
        30_000,
      )
      await publish(transport, ...ids)
      const refused = createReadModel({ transport, store, projection })
      await expect(refused.start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
      await refused.close()
      const things = createReadModel({ transport, store, projection, load: () => [{ key: 'a', state: { id: 'a' } }] })
      opened.push(() => things.close())
      await things.start()
      expect(things.status.size).toBe(12)
      for (const id of ['a', ...ids]) expect(await things.get(id)).toBeDefined()
    }, 120_000)

    it(`is refused to read models whose topic drops what they would need, on ${name}`, async () => {
      const limited = await made.create(`${title}.limited`, 1, { 'retention.ms': '86400000' })
      const compacted = await made.create(`${title}.compacted`, 1, { 'cleanup.policy': 'compact' })
      for (const [topic, why] of [[limited, 'retention.ms=86400000'] as const, [compacted, 'compacted'] as const]) {
        const transport = await started(connect(made.brokers), topic)
        for (const id of ['a', 'b']) {
          const message = toMessage({ type: 'Done', source: 'test', key: 'tenant', data: { id } }, systemClock)
          await transport.publish(message, { channel: 'results' })
        }
        const things = createReadModel({ transport, projection })
        opened.push(() => things.close())
        await expect(things.start()).rejects.toMatchObject({
          code: 'ERR_NOT_REBUILDABLE',
          message: expect.stringContaining(why),
        })
      }
    }, 60_000)

    it(`has not ended by itself when it was closed, on ${name}`, async () => {
      const topic = await made.create(`${title}.closed`)
      const { reader, ends } = await read(await started(connect(made.brokers), topic))
      await reader.close()
      expect(ends).toEqual([])
    })

    it(`an own reader goes on with a topic that was made anew, on ${name}`, async () => {
      const topic = await made.create(`${title}.own`)
      const transport = await started(connect(made.brokers), topic)
      const { got } = await read(transport, { kind: 'own' })
      await publish(transport, 'a', 'b', 'c')
      await until(() => got.length === 3, 20_000)
      await remake(topic)
      await until(async () => {
        await publish(transport, 'd').catch(() => {})
        await sleep(200)
        return got.length > 3
      }, 60_000)
    }, 120_000)
  }

  it('a position is the same for both clients, also where the brokers have given the records their times', async () => {
    const topic = await made.create('times', 1, { 'message.timestamp.type': 'LogAppendTime' })
    const found: unknown[] = []
    for (const connect of Object.values(kafkaClients)) {
      const transport = await started(connect(made.brokers), topic)
      if (found.length === 0) await publish(transport, 'a', 'b')
      const positions: unknown[] = []
      const subscription = { channel: 'results', types: ['Done'], reading: REPLAY } as const
      const reader = await transport.subscribe(subscription, async (_, { position }) => void positions.push(position))
      await reader.caughtUp
      found.push(positions)
    }
    expect(found[0]).toHaveLength(2)
    for (const positions of found) expect(positions).toEqual(found[0])
  }, 60_000)

  it('a reader that kafkajs gives up ends a replay; readers of the other kinds go on', async () => {
    const crashes: ((event: { payload: { error: Error; restart: boolean } }) => void)[] = []
    const real = new Kafka({ brokers: made.brokers, logLevel: logLevel.NOTHING })
    const makeConsumer = real.consumer.bind(real)
    const consumer = (options: never) => {
      const made = makeConsumer(options)
      const on = made.on.bind(made) as (event: string, listener: never) => unknown
      made.on = ((event: string, listener: never) => {
        if (event === 'consumer.crash') crashes.push(listener)
        return on(event, listener)
      }) as never
      return made
    }
    const client = kafkajs(Object.assign(real, { consumer }) as never)
    const topic = await made.create('crashes')
    const transport = await started(client, topic)
    const crash = () => crashes.at(-1)?.({ payload: { error: new Error('of no use any more'), restart: false } })
    const { ends } = await read(transport)
    crash()
    await until(() => ends.length === 1)
    expect(ends[0]).toMatchObject({ message: expect.stringContaining('given up by its client') })
    const shared = await read(transport, { kind: 'shared', group: topic })
    await publish(transport, 'a')
    await until(() => shared.got.length === 1, 20_000)
    crash()
    await publish(transport, 'b')
    await until(() => shared.got.length === 2, 30_000)
    expect(shared.ends).toEqual([])
  }, 90_000)
})
