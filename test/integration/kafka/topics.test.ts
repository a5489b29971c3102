import { Kafka, logLevel } from 'kafkajs'
import { createGateway, memoryStore } from 'respond-async'
import { kafka } from 'respond-async/kafka'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
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

    it('FM-C9 a poison result that the dead letters do not take stops nothing behind it', async () => {
      const requests = await made.create('poisoned.requests')
      const results = await made.create('poisoned.results')
      const deadLetters = await made.create('poisoned.dead', 1, { 'max.message.bytes': '2000' })
      const service = `${made.prefix}.poisoned`
      const transport = kafka({ client: connect(made.brokers), topics: { requests, results, deadLetters } })
      const gateway = keep(createGateway({ transport, store: memoryStore(), service }))
      const errors: string[] = []
      gateway.on('error', ({ code, message }) => errors.push(`${code} ${message}`))
      const ask = gateway.command({ publish: 'Ask', outcomes: { Done: 'succeeded' } })
      await gateway.start()
      const observer = keep(kafka({ client: connect(made.brokers), topics: { results: deadLetters } }))
      await observer.start()
      const dead: unknown[] = []
      const own = { channel: 'results', types: [], reading: { kind: 'own' } } as const
      await observer.subscribe(own, async ({ headers, body }) => void dead.push([headers, body.byteLength]))
      const poison = async () => {
        const { operation } = await ask.request({}, { waitMs: 0 })
        const body = Buffer.alloc(5000, '{')
        const result = toMessage({ type: 'Done', source: 'test', body, correlationId: operation.id }, systemClock)
        await transport.publish(result, { channel: 'results' })
        await expect.poll(() => gateway.operations.get(operation.id)).toMatchObject({ state: 'failed' })
      }
      await poison()
      await expect.poll(() => transport.parked, { timeout: 10_000 }).toBe(1)
      const origin = { parked_topic: results, parked_offset: '0', parked_bytes: '5000' }
      await expect.poll(() => dead, { timeout: 10_000 }).toEqual([[expect.objectContaining(origin), 0]])
      expect(errors.filter((text) => text.includes('left behind'))).toEqual([])

      await made.delete(deadLetters)
      await poison()
      await expect.poll(() => transport.parked, { timeout: 10_000 }).toBe(2)
      const text = new RegExp(`offset 1 of ${results}:0, and it is left behind.* Kafka has no topic ${deadLetters}`)
      expect(errors).toContainEqual(expect.stringMatching(text))
      const admin = new Kafka({ brokers: made.brokers, logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      const committed = async () => (await admin.fetchOffsets({ groupId: `${service}.recorder`, topics: [results] }))[0]
      await expect.poll(committed, { timeout: 10_000 }).toMatchObject({ partitions: [{ offset: '2' }] })
      await admin.disconnect()
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
