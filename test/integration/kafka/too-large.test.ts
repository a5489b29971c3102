import { createGateway } from 'respond-async'
import { kafka } from 'respond-async/kafka'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'

for (const [name, connect] of Object.entries(kafkaClients)) {
  describe.skipIf(noKafka !== undefined)(`results on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
    let made: TestTopics
    const opened: { close(): Promise<unknown> }[] = []
    beforeAll(async () => {
      made = await testTopics()
    }, 180_000)
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((part) => part.close()))
    })
    afterAll(() => made?.remove())

    it('FM-B13 that are larger than their topic takes fail at once, and their requests are parked', async () => {
      const topics = {
        requests: await made.create('requests'),
        results: await made.create('results', 1, { 'max.message.bytes': '20000' }),
        deadLetters: await made.create('dead'),
      }
      const gateway = createGateway({ transport: kafka({ client: connect(made.brokers), topics }), waitMs: 40_000 })
      const command = gateway.command({ publish: 'Ask', outcomes: { Answered: 'succeeded' } })
      const transport = kafka({ client: connect(made.brokers), topics, groupPrefix: `${topics.requests}.` })
      const worker = createWorker({ transport })
      opened.push(gateway, worker)
      let runs = 0
      worker.handle('Ask', () => {
        runs += 1
        return { type: 'Answered', data: 'x'.repeat(30_000) }
      })
      const errors: string[] = []
      worker.on('error', ({ code }) => errors.push(code))
      await worker.start()
      await gateway.start()
      expect(await command.request({})).toMatchObject({ kind: 'completed', event: { type: 'Ask::Failed' } })
      await until(() => transport.parked === 1, 20_000)
      expect([runs, errors]).toEqual([1, ['ERR_PUBLISH_REJECTED']])
    }, 120_000)
  })
}
