import { createGateway } from 'respond-async'
import { kafka } from 'respond-async/kafka'
import { createWorker } from 'respond-async/worker'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import { until } from '../../../src/testing/contract.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'

for (const [name, connect] of Object.entries(kafkaClients)) {
  describe.skipIf(noKafka !== undefined)(`results on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
    let made: TestTopics
    const opened: { close(): Promise<unknown> }[] = []
    beforeEach(async () => {
      made = await testTopics()
    }, 180_000)
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((part) => part.close()))
      await made?.remove()
    })

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

    it.each([
      ['FM-C18 whose request asks for them on a topic that is not there', 'no.such.topic', {}],
      ['FM-C18 whose request asks for them on what can be no topic', 'no/such topic', {}],
      ['without a key, on a compacted topic', undefined, { 'cleanup.policy': 'compact' }],
    ])(
      '%s are given up at once, and the requests behind them go on',
      async (_, replyTo, config) => {
        const requests = await made.create('requests')
        const topics = {
          requests,
          results: await made.create('results', 1, config),
          deadLetters: await made.create('dead'),
        }
        const transport = kafka({ client: connect(made.brokers), topics, groupPrefix: `${requests}.` })
        const worker = createWorker({ transport })
        // Of its own: what one call brings together with a refused record may be written twice.
        const asking = kafka({ client: connect(made.brokers), topics })
        opened.push(worker, asking)
        const seen: string[] = []
        const handled: string[] = []
        worker.handle('Ask', ({ id }) => {
          seen.push(id)
          return { type: 'Answered', data: {} }
        })
        worker.on('handled', ({ request }) => handled.push(request.id))
        const errors: string[] = []
        worker.on('error', ({ code }) => errors.push(code))
        await worker.start()
        await asking.start()
        const ask = (more: object) => {
          const request = toMessage({ type: 'Ask', source: 'test', data: {}, ...more }, systemClock)
          return asking.publish(request, { channel: 'requests' }).then(() => request.id)
        }
        const ids = [await ask({ replyTo }), await ask({ key: 'k' })]
        await expect
          .poll(() => ({ seen, handled, errors, parked: transport.parked }), { timeout: 40_000 })
          .toEqual({ seen: ids, handled: ids.slice(1), errors: ['ERR_PUBLISH_REJECTED'], parked: 1 })
      },
      120_000,
    )
  })
}
