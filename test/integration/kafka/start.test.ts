import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Kafka, logLevel } from 'kafkajs'
import { createGateway, memoryStore, ok } from 'respond-async'
import { handle, operations } from 'respond-async/fetch'
import { type KafkaClient, kafka, kafkajs, platformatic } from 'respond-async/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KafkaBroker } from '../../../scripts/brokers/kafka.js'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'
import { whyNoOwnKafka } from '../../support/own-kafka.js'

interface Mistake {
  readonly brokers?: string[]
  readonly tls?: boolean
  readonly sasl?: string
  readonly password?: string
}

/** A client with options that cannot succeed. */
function mistaken(name: string, { brokers = [], tls, sasl, password = 'wrong' }: Mistake): KafkaClient {
  const credentials = { username: 'somebody', password }
  if (name !== 'kafkajs') {
    const more = { ...(tls && { tls: {} }), ...(sasl && { sasl: { mechanism: sasl, ...credentials } }) }
    return platformatic({ bootstrapBrokers: brokers, ...more })
  }
  const mechanism = sasl?.toLowerCase() as 'plain' | undefined
  const more = { ...(tls && { ssl: true }), ...(mechanism && { sasl: { mechanism, ...credentials } }) }
  return kafkajs(new Kafka({ brokers, logLevel: logLevel.NOTHING, ...more }))
}

const own = { channel: 'results', types: ['Answered'], reading: { kind: 'own' } } as const

for (const [name, connect] of Object.entries(kafkaClients)) {
  describe.skipIf(noKafka !== undefined)(`the start on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
    let made: TestTopics
    beforeAll(async () => {
      made = await testTopics()
    }, 180_000)
    afterAll(() => made?.remove())

    it('Q12 FM-B6 is refused when a topic is missing, which is named and not made', async () => {
      const results = await made.create('start.results')
      const missing = `${made.prefix}.nowhere`
      const transport = kafka({ client: connect(made.brokers), topics: { requests: missing, results } })
      await expect(transport.start()).rejects.toMatchObject({
        code: 'ERR_CONFIG',
        message: expect.stringContaining(missing),
      })
      const client = connect(made.brokers)
      await client.connect()
      expect([...(await client.describe([missing, results])).keys()]).toEqual([results])
      await client.close()
    })

    const mistakes: [string, Mistake, string, RegExp][] = [
      ['nobody listens at the address', { brokers: ['127.0.0.1:1'] }, 'ERR_TRANSPORT_UNAVAILABLE', /rokers (of|$)/],
      ['the host is unknown', { brokers: ['nobody.invalid:1'] }, 'ERR_TRANSPORT_UNAVAILABLE', /rokers (of|$)/],
      // kafkajs tries again for longer than anybody wants to wait, and keeps to itself why.
      name === 'kafkajs'
        ? ['TLS meets a broker without it', { tls: true }, 'ERR_TRANSPORT_UNAVAILABLE', /TLS.*ssl of/]
        : ['TLS meets a broker without it', { tls: true }, 'ERR_CONFIG', /TLS with Kafka fails.*option tls of/],
      ['credentials meet a broker that takes none', { sasl: 'PLAIN' }, 'ERR_CONFIG', /credentials.*option sasl of/],
    ]
    for (const [title, mistake, code, text] of mistakes) {
      it(`says within seconds that ${title}, and names the option`, async () => {
        const from = performance.now()
        const client = mistaken(name, { brokers: made.brokers, ...mistake })
        const transport = kafka({ client, topics: { results: 'results' } })
        await expect(transport.start()).rejects.toMatchObject({ code, message: expect.stringMatching(text) })
        expect(performance.now() - from).toBeLessThan(10_000)
        await transport.close()
      }, 30_000)
    }

    it('gives up on a server that says nothing', async () => {
      const sockets = new Set<{ destroy(): void }>()
      const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
      await once(silent, 'listening')
      const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`
      const from = performance.now()
      const transport = kafka({ client: connect([address]), topics: { results: 'results' } })
      await expect(transport.start()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
      expect(performance.now() - from).toBeLessThan(10_000)
      for (const socket of sockets) socket.destroy()
      silent.close()
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

    it('is refused when a topic of requests is compacted', async () => {
      for (const policy of ['compact', 'compact,delete']) {
        const requests = await made.create(`lost.${policy.length}`, 1, { 'cleanup.policy': policy })
        const transport = kafka({ client: connect(made.brokers), topics: { requests } })
        await expect(transport.start()).rejects.toMatchObject({
          code: 'ERR_CONFIG',
          message: expect.stringContaining(`${requests} is compacted`),
        })
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
        const send = (size: number, headers = {}) =>
          transport.publish(toMessage({ type: 'Ask', source: 'test', data: 'x'.repeat(size), headers }, systemClock), {
            channel: 'requests',
          })
        const long = { 'x-long': 'y'.repeat(12_000) }
        const calls = await Promise.allSettled([send(10), send(50_000), send(20), send(200_000), send(30, long)])
        const codes = calls.map((call) => (call.status === 'rejected' ? call.reason.code : 'taken'))
        const refused = 'ERR_PUBLISH_REJECTED'
        expect(codes).toEqual(['taken', refused, 'taken', refused, refused])
      } finally {
        await transport.close()
      }
    })

    it('FM-B13 a gateway knows what each topic takes: more is a 413 before anything is written', async () => {
      const small = await made.create('takes.10000', 1, { 'max.message.bytes': '10000' })
      const large = await made.create('takes.100000', 1, { 'max.message.bytes': '100000' })
      const results = await made.create('takes.little', 1, { 'max.message.bytes': '5000' })
      const requests = { Small: small, Large: large }
      const transport = kafka({ client: connect(made.brokers), topics: { requests, results } })
      const gateway = createGateway({ transport, store: memoryStore() })
      const ask = gateway.command({ publish: 'Small', outcomes: { Answered: ok() } })
      const askMore = gateway.command({ publish: 'Large', outcomes: { Answered: ok() } })
      operations(gateway)
      await gateway.start()
      try {
        expect([transport.maxBodyBytes, transport.skippedChecks]).toEqual([10_000 - 4096, []])
        const headers = { 'content-type': 'application/json', prefer: 'respond-async' }
        const post = (size: number) =>
          handle(ask)(
            new Request('http://localhost/', { method: 'POST', headers, body: JSON.stringify('x'.repeat(size)) }),
          )
        expect((await post(6000)).status).toBe(413)
        expect(gateway.counters.created).toBe(0)
        expect((await post(5800)).status).toBe(202)
        expect(await askMore.request('x'.repeat(90_000), { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
        const tooLarge = { code: 'ERR_BODY_TOO_LARGE' }
        await expect(askMore.request('x'.repeat(99_000))).rejects.toMatchObject(tooLarge)
      } finally {
        await gateway.close({ drainMs: 0 })
      }
    }, 30_000)

    it('FM-B13 of a topic that only a function names it knows that before the first request, too', async () => {
      const small = await made.create('named.10000', 1, { 'max.message.bytes': '10000' })
      const results = await made.create('named.results')
      const transport = kafka({ client: connect(made.brokers), topics: { requests: () => small, results } })
      const gateway = createGateway({ transport })
      const ask = gateway.command({ publish: 'Small', outcomes: { Answered: ok() } })
      await gateway.start()
      try {
        const headers = { 'content-type': 'application/json' }
        const body = JSON.stringify('x'.repeat(6000))
        const answer = await handle(ask)(new Request('http://localhost/', { method: 'POST', headers, body }))
        expect([answer.status, gateway.counters.created]).toEqual([413, 0])
        expect(await ask.request('x'.repeat(5800), { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
      } finally {
        await gateway.close({ drainMs: 0 })
      }
    }, 30_000)

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

it("wake: 'store' needs a store that watches", () => {
  const transport = kafka({ brokers: ['127.0.0.1:1'], topics: { results: 'results' } })
  expect(() =>
    createGateway({ transport, store: Object.assign(memoryStore(), { watch: undefined }), wake: 'store' }),
  ).toThrow(/wake is "store"/)
})

const noBroker = await whyNoOwnKafka()

describe.skipIf(noBroker !== undefined)(`a broker that asks for credentials${noBroker ? ` (${noBroker})` : ''}`, () => {
  const jaas =
    'org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="b" user_broker="b" user_somebody="right";'
  const broker = new KafkaBroker({
    properties: {
      'listener.security.protocol.map': 'PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
      'sasl.enabled.mechanisms': 'PLAIN',
      'sasl.mechanism.inter.broker.protocol': 'PLAIN',
      'listener.name.plaintext.plain.sasl.jaas.config': jaas,
    },
  })
  beforeAll(async () => void (await broker.start()), 180_000)
  afterAll(async () => {
    await broker.stop('SIGKILL')
    broker.remove()
  })

  for (const [name, connect] of Object.entries(kafkaClients)) {
    const start = (client: KafkaClient) => kafka({ client, topics: { results: 'nowhere' } }).start()

    it(`is told of with the right ones, and a wrong password or mechanism is said, on ${name}`, async () => {
      const brokers = [broker.address]
      const right = mistaken(name, { brokers, sasl: 'PLAIN', password: 'right' })
      await expect(start(right)).rejects.toMatchObject({ message: expect.stringContaining('no topic nowhere') })
      for (const mistake of [{ sasl: 'PLAIN' }, { sasl: 'SCRAM-SHA-256' }]) {
        const refused = { code: 'ERR_CONFIG', message: expect.stringMatching(/credentials.*option sasl of/) }
        await expect(start(mistaken(name, { brokers, ...mistake }))).rejects.toMatchObject(refused)
      }
      const silent = { message: expect.stringMatching(/sasl of/) }
      await expect(start(connect(brokers))).rejects.toMatchObject(silent)
    }, 60_000)
  }
})
