import { createGateway, memoryStore } from 'respond-async'
import { kafka } from 'respond-async/kafka'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'

for (const [name, connect] of Object.entries(kafkaClients)) {
  describe.skipIf(noKafka !== undefined)(`topics on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
    let made: TestTopics
    const opened: { close(): Promise<unknown> }[] = []
    const keep = <Part extends { close(): Promise<unknown> }>(part: Part): Part => {
      opened.push(part)
      return part
    }
    beforeAll(async () => {
      made = await testTopics()
    }, 180_000)
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((part) => part.close()))
    })
    afterAll(() => made?.remove())

    it('FM-B6 one that is deleted refuses its requests alone, by its name, until it is made anew', async () => {
      const requests = { A: await made.create('gone.a'), B: await made.create('gone.b') }
      const topics = { requests, results: await made.create('gone.results') }
      const transport = () => kafka({ client: connect(made.brokers), topics })
      const worker = keep(createWorker({ transport: transport(), group: `${made.prefix}.gone`, onError: () => {} }))
      worker.handle('B', () => ({ type: 'Done', data: {} }))
      await worker.start()
      const gateway = keep(createGateway({ transport: transport(), waitMs: 20_000 }))
      const errors = new Set<string>()
      gateway.on('error', ({ code, message }) => errors.add(`${code} ${message}`))
      const [a, b] = ['A', 'B'].map((publish) => gateway.command({ publish, outcomes: { Done: 'succeeded' } }))
      await gateway.start()
      expect(await a?.request({}, { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
      await made.delete(requests.A)
      const text = `Kafka has no topic ${requests.A}.`
      const refused = { kind: 'ended', operation: { error: { code: 'ERR_PUBLISH_REJECTED', message: text } } }
      // A broker may still take a record right after the deletion.
      await expect.poll(() => a?.request({}, { waitMs: 0 }), { timeout: 20_000 }).toMatchObject(refused)
      const replies = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? a : b)?.request({})))
      const kinds = replies.map((reply) => reply?.kind)
      expect(kinds).toEqual(Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? 'ended' : 'completed')))
      expect([gateway.isReady, [...errors]]).toEqual([true, [`ERR_PUBLISH_REJECTED ${text}`]])

      await made.create('gone.a', 3, { 'max.message.bytes': '10000' })
      await expect.poll(() => a?.request({}, { waitMs: 0 }), { timeout: 20_000 }).toMatchObject({ kind: 'accepted' })
      const more = Array.from({ length: 10 }, (_, n) => a?.request({ n }, { waitMs: 0 }))
      expect(new Set((await Promise.all(more)).map((reply) => reply?.kind))).toEqual(new Set(['accepted']))
      await expect(a?.request('x'.repeat(9000))).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
      expect(await b?.request({})).toMatchObject({ kind: 'completed' })
    }, 90_000)

    it('results have the topic of their type, and those of types without one that of replies, which is read, too', async () => {
      const topics = {
        requests: await made.create('replying'),
        results: { Done: await made.create('done'), Undone: await made.create('undone') },
        replyTo: await made.create('replies'),
      }
      const transport = () => kafka({ client: connect(made.brokers), topics })
      const seen: unknown[] = []
      const subscription = { channel: 'results', types: ['Done'], reading: { kind: 'own' } } as const
      for (const results of [topics.results.Done, topics.replyTo]) {
        const reader = keep(kafka({ client: connect(made.brokers), topics: { results } }))
        await reader.start()
        await reader.subscribe(subscription, async ({ type }) => void seen.push([results, type]))
      }
      const service = `${made.prefix}.replying`
      const worker = keep(
        createWorker({ transport: transport(), group: service, onError: () => {}, retries: { attempts: 1 } }),
      )
      worker.handle('Ask', ({ data }) => {
        if (data === 'fail') throw new Error('no')
        return { type: 'Done', data }
      })
      await worker.start()
      const gateway = keep(createGateway({ transport: transport(), store: memoryStore(), service, waitMs: 20_000 }))
      const ask = gateway.command({ publish: 'Ask', outcomes: { Done: 'succeeded' } })
      await gateway.start()
      expect(await ask.request('do')).toMatchObject({ kind: 'completed', event: { type: 'Done' } })
      expect(await ask.request('fail')).toMatchObject({ kind: 'completed', event: { type: 'Ask::Failed' } })
      await expect
        .poll(() => seen, { timeout: 10_000 })
        .toEqual([
          [topics.results.Done, 'Done'],
          [topics.replyTo, 'Ask::Failed'],
        ])
    }, 60_000)

    it('FM-C11 replies on a compacted topic are refused at the start', async () => {
      const replyTo = await made.create('replies.compacted', 1, { 'cleanup.policy': 'compact' })
      const topics = { requests: await made.create('r.requests'), results: await made.create('r.results'), replyTo }
      const gateway = createGateway({ transport: kafka({ client: connect(made.brokers), topics }) })
      gateway.command({ publish: 'Ask', outcomes: { Done: 'succeeded' } })
      const refused = { code: 'ERR_CONFIG', message: expect.stringContaining(replyTo) }
      await expect(gateway.start()).rejects.toMatchObject(refused)
    }, 30_000)
  })
}
