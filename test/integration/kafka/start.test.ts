import { memoryStore } from 'respond-async'
import { kafka } from 'respond-async/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'

const own = { channel: 'results', types: ['Answered'], reading: { kind: 'own' } } as const

for (const [name, connect] of Object.entries(kafkaClients)) {
  describe.skipIf(noKafka !== undefined)(`the start on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
    let made: TestTopics
    beforeAll(async () => {
      made = await testTopics()
    }, 180_000)
    afterAll(() => made?.remove())

    it('is refused when a topic is missing, which is named', async () => {
      const results = await made.create('start.results')
      const missing = `${made.prefix}.nowhere`
      const transport = kafka({ client: connect(made.brokers), topics: { requests: missing, results } })
      await expect(transport.start()).rejects.toMatchObject({
        code: 'ERR_CONFIG',
        message: expect.stringContaining(missing),
      })
    })

    it('is refused when nobody listens at the address', async () => {
      const transport = kafka({ client: connect(['127.0.0.1:1']), topics: { results: 'results' } })
      await expect(transport.start()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    }, 30_000)

    it('of a reader is refused when its results are compacted, unless it replays', async () => {
      const results = await made.create('compacted', 1, { 'cleanup.policy': 'compact' })
      const transport = kafka({ client: connect(made.brokers), topics: { results } })
      await transport.start()
      try {
        await expect(transport.subscribe(own, async () => 'ack')).rejects.toMatchObject({
          code: 'ERR_CONFIG',
          message: expect.stringContaining('cleanup.policy=delete'),
        })
        const reading = { kind: 'replay', from: 'beginning' } as const
        const reader = await transport.subscribe({ ...own, reading }, async () => 'ack')
        await reader.caughtUp
      } finally {
        await transport.close()
      }
    })

    it('of a replay is refused at a position that is not there', async () => {
      const results = await made.create('positions')
      const transport = kafka({ client: connect(made.brokers), topics: { results } })
      await transport.start()
      try {
        for (const after of ['nonsense', `${results}:0=99`]) {
          const reading = { kind: 'replay', from: { after } } as const
          const call = transport.subscribe({ ...own, reading }, async () => 'ack')
          await expect(call).rejects.toMatchObject({ code: 'ERR_CONFIG' })
        }
      } finally {
        await transport.close()
      }
    })

    it('FM-B13 what the broker would not take is refused for certain, and takes nothing else with it', async () => {
      const requests = await made.create('small', 1, { 'max.message.bytes': '10000' })
      const transport = kafka({ client: connect(made.brokers), topics: { requests }, maxBodyBytes: 100_000 })
      await transport.start()
      try {
        const send = (size: number) =>
          transport.publish(toMessage({ type: 'Ask', source: 'test', data: 'x'.repeat(size) }, systemClock), {
            channel: 'requests',
          })
        const calls = await Promise.allSettled([send(10), send(50_000), send(20), send(200_000)])
        const codes = calls.map((call) => (call.status === 'rejected' ? call.reason.code : 'taken'))
        expect(codes).toEqual(['taken', 'ERR_PUBLISH_REJECTED', 'taken', 'ERR_PUBLISH_REJECTED'])
      } finally {
        await transport.close()
      }
    })

    it('what can never be handled goes to the topic for dead letters as it was', async () => {
      const [requests, results] = [await made.create('poisoned'), await made.create('dead')]
      const topics = { requests, results, deadLetters: results }
      const transport = kafka({ client: connect(made.brokers), topics })
      await transport.start()
      try {
        const seen: unknown[] = []
        await transport.subscribe(own, async ({ type, headers, body }) => void seen.push([type, headers, `${body}`]))
        const reading = { kind: 'shared', group: requests } as const
        await transport.subscribe({ channel: 'requests', types: ['Ask'], reading }, async () => 'park')
        const message = toMessage({ type: 'Ask', source: 'test', data: 1, headers: { 'x-one': '1' } }, systemClock)
        await transport.publish(message, { channel: 'requests' })
        await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1)
        const origin = { parked_topic: requests, parked_partition: '0', parked_offset: '0', parked_group: requests }
        expect(seen).toEqual([['Ask', expect.objectContaining({ 'x-one': '1', ...origin }), '1']])
        expect(transport.parked).toBe(1)
      } finally {
        await transport.close()
      }
    }, 30_000)
  })
}

it("wake: 'store' needs a store that watches", async () => {
  const { createGateway } = await import('respond-async')
  const transport = kafka({ brokers: ['127.0.0.1:1'], topics: { results: 'results' } })
  expect(() =>
    createGateway({ transport, store: Object.assign(memoryStore(), { watch: undefined }), wake: 'store' }),
  ).toThrow(/wake is "store"/)
})
