import { createGateway, memoryStore } from 'respond-async'
import { kafka } from 'respond-async/kafka'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'

for (const [name, connect] of Object.entries(kafkaClients)) {
  describe.skipIf(noKafka !== undefined)(`answers on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
    let made: TestTopics
    const opened: { close(): Promise<unknown> }[] = []
    beforeAll(async () => {
      made = await testTopics()
    }, 180_000)
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((part) => part.close()))
    })
    afterAll(() => made?.remove())

    it('FM-C9 that are no CloudEvents, as they say, are parked, and their operations fail at once', async () => {
      const topics = { requests: await made.create('requests'), results: await made.create('results') }
      const transport = kafka({ client: connect(made.brokers), topics })
      const options = { transport, store: memoryStore(), waitMs: 20_000, service: topics.results }
      const gateway = createGateway(options)
      opened.push(gateway)
      const command = gateway.command({ publish: 'Ask', outcomes: { Answered: 'succeeded' } })
      await gateway.start()
      const producer = connect(made.brokers)
      await producer.connect()
      opened.push(producer)
      const answer = (correlationId: string) => {
        const given = { kafka_correlationId: correlationId, 'content-type': 'application/cloudevents+json' }
        const headers = Object.entries(given).map(([one, is]) => [one, Buffer.from(is)] as const)
        return producer.produce([{ topic: topics.results, key: null, value: Buffer.from('{"half":'), headers }])
      }
      const worker = kafka({ client: connect(made.brokers), topics })
      await worker.start()
      opened.push(worker)
      const reading = { kind: 'shared', group: topics.requests } as const
      await worker.subscribe({ channel: 'requests', types: ['Ask'], reading }, async ({ correlationId = '' }) => {
        await answer('nobody-s')
        await answer(correlationId)
        return 'ack'
      })
      expect(await command.request({ n: 1 })).toMatchObject({
        kind: 'ended',
        operation: { state: 'failed', error: { code: 'ERR_MALFORMED_RESULT' } },
      })
      await until(() => transport.parked === 2, 10_000)
    }, 60_000)
  })
}
