import { Kafka, logLevel, type Producer, type Transaction } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Reader, Reading } from '../../src/core/transport.js'
import { until } from '../../src/testing/contract.js'
import { type KafkaClient, kafka } from '../../src/transports/kafka/index.js'
import { noKafka, type TestTopics, testTopics } from './kafka.js'

const READINGS: readonly Reading['kind'][] = ['replay', 'shared', 'own']
/** Three of them are more than a fetch takes. */
const LONG = 400_000

/** What is read of topics that transactions are written to, on a client; `missing` says why it cannot be tried. */
export function describeTransactions(
  name: string,
  connect: (brokers: string[]) => KafkaClient,
  missing = noKafka,
): void {
  const title = `transactions, read by ${name}${missing ? ` (skipped: ${missing})` : ''}`
  describe.skipIf(missing !== undefined)(title, () => {
    let made: TestTopics
    let writer: Kafka
    const opened: (() => Promise<unknown>)[] = []
    beforeAll(async () => {
      made = await testTopics()
      writer = new Kafka({ brokers: made.brokers, logLevel: logLevel.NOTHING })
    }, 180_000)
    afterEach(async () => {
      for (const end of opened.splice(0).reverse()) await end()
    })
    afterAll(() => made?.remove())

    async function makeProducer(transactionalId: string): Promise<Producer> {
      const producer = writer.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
      await producer.connect()
      opened.push(() => producer.disconnect())
      return producer
    }

    /** A reader on a transport of its own, and the ids that it has got. */
    async function read(topic: string, reading: Reading): Promise<{ reader: Reader; got: string[] }> {
      const transport = kafka({ client: connect(made.brokers), topics: { results: topic } })
      await transport.start()
      opened.push(() => transport.close())
      const got: string[] = []
      const subscription = { channel: 'results', types: ['Done'], reading } as const
      const reader = await transport.subscribe(subscription, async ({ id }) => {
        got.push(id)
        return 'ack'
      })
      return { reader, got }
    }

    const readingOf = (kind: Reading['kind'], topic: string): Reading =>
      kind === 'replay' ? { kind, from: 'beginning' } : kind === 'shared' ? { kind, group: topic } : { kind }

    async function write(transaction: Transaction, topic: string, ...ids: readonly string[]): Promise<void> {
      for (const id of ids) {
        const value = JSON.stringify({ text: id.startsWith('long') ? 'x'.repeat(LONG) : '' })
        await transaction.send({ topic, messages: [{ value, headers: { ce_type: 'Done', ce_id: id } }] })
      }
    }

    /** Aborted and committed ones of one producer, short and longer than a fetch, an aborted one last. */
    async function writeAll(topic: string): Promise<void> {
      const producer = await makeProducer(topic)
      for (const ids of [['a'], ['-b'], ['-c'], ['d', 'e'], ['long'], ['-f'], ['g'], ['-h']]) {
        const transaction = await producer.transaction()
        const isLong = ids[0] === 'long'
        await write(transaction, topic, ...(isLong ? ['long1', 'long2', 'long3', 'long4'] : ids))
        if (isLong || ids[0]?.startsWith('-')) await transaction.abort()
        else await transaction.commit()
      }
    }

    for (const kind of READINGS) {
      it(`FM-C15 of aborted ones nothing is handed out, live, to a reading of kind ${kind}`, async () => {
        const topic = await made.create(`live.${kind}`)
        const { got } = await read(topic, readingOf(kind, topic))
        await writeAll(topic)
        await until(() => got.includes('g'), 20_000)
        expect(got).toEqual(['a', 'd', 'e', 'g'])
      }, 60_000)
    }

    it('FM-C15 nor from what stands there, and a replay has caught up behind an aborted one', async () => {
      const topic = await made.create('replayed')
      await writeAll(topic)
      const { reader, got } = await read(topic, readingOf('replay', topic))
      await reader.caughtUp
      expect(got).toEqual(['a', 'd', 'e', 'g'])
    }, 60_000)

    it('FM-C15 nor to a group that comes back, and what it has read is committed', async () => {
      const topic = await made.create('backlog')
      const first = await read(topic, readingOf('shared', topic))
      await first.reader.close()
      await writeAll(topic)
      const { reader, got } = await read(topic, readingOf('shared', topic))
      await until(() => got.includes('g'), 20_000)
      expect(got).toEqual(['a', 'd', 'e', 'g'])
      await reader.close()
      const again = await read(topic, readingOf('shared', topic))
      const producer = await makeProducer(topic)
      const transaction = await producer.transaction()
      await write(transaction, topic, 'last')
      await transaction.commit()
      await until(() => again.got.length > 0, 20_000)
      expect(again.got).toEqual(['last'])
    }, 90_000)

    it('FM-C15 nor of several producers at once', async () => {
      const topic = await made.create('several')
      const [one, two] = [await makeProducer(`${topic}.1`), await makeProducer(`${topic}.2`)]
      const [first, second] = [await one.transaction(), await two.transaction()]
      await write(first, topic, '-a')
      await write(second, topic, '-b')
      await write(first, topic, '-c')
      await second.abort()
      const third = await two.transaction()
      await write(third, topic, 'd')
      await write(first, topic, '-e')
      await third.commit()
      await first.abort()
      const { reader, got } = await read(topic, readingOf('replay', topic))
      await reader.caughtUp
      expect(got).toEqual(['d'])
    }, 60_000)
  })
}
