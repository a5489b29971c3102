import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { createGateway, memoryStore } from 'respond-async'
import { kafka, platformatic } from 'respond-async/kafka'
import { createWorker } from 'respond-async/worker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KafkaBroker } from '../../../scripts/brokers/kafka.js'
import { until } from '../../../src/testing/contract.js'
import { type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'
import { whyNoOwnKafka } from '../../support/own-kafka.js'

interface Events {
  Ask: { n: number }
  Answered: { n: number }
}

const missing = await whyNoOwnKafka()

describe.skipIf(missing !== undefined)(`a broker that is killed${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let broker: KafkaBroker
  let made: TestTopics
  beforeAll(async () => {
    broker = await new KafkaBroker({ properties: { 'group.min.session.timeout.ms': 1000 } }).start()
    made = await testTopics([broker.address])
  }, 180_000)
  afterAll(async () => {
    await made?.remove()
    await broker?.stop('SIGKILL')
    broker?.remove()
  })

  for (const [name, connect] of Object.entries(kafkaClients)) {
    it(`loses nothing that was accepted, and is used again at once, on ${name}`, async () => {
      const title = name.replace(/\W/g, '')
      const topics = {
        requests: await made.create(`${title}.requests`, 2),
        results: await made.create(`${title}.results`, 2),
      }
      const client = () => kafka({ client: connect(made.brokers), topics })
      const gateway = createGateway<Events>({
        transport: client(),
        store: memoryStore(),
        service: title,
        relayAfterMs: 500,
      })
      const ask = gateway.command({ publish: 'Ask', outcomes: { Answered: 'succeeded' } })
      const worker = createWorker<Events>({ transport: client(), group: title, concurrency: 32, onError: () => {} })
      worker.handle('Ask', async ({ data }) => {
        await sleep(50)
        return { type: 'Answered', data }
      })
      gateway.on('error', () => {})
      const accepted = new Set<string>()
      const seen: string[] = []
      const down: number[] = []
      gateway.on('unavailable', () => down.push(Date.now()))
      const send = async (n: number, waitMs: number) => {
        const reply = await ask.request({ n }, { waitMs }).catch((error: { code: string }) => error)
        // What has ended already was refused: the client knows that nothing happened.
        if ('kind' in reply && reply.kind !== 'ended') accepted.add(reply.operation.id)
        seen.push('kind' in reply ? reply.kind : reply.code)
        return reply
      }
      try {
        await Promise.all([gateway.start(), worker.start()])
        expect(await send(-1, 10_000)).toMatchObject({ kind: 'completed' })
        let isSending = true
        const sending = (async () => {
          for (let n = 0; isSending; n += 1) {
            void send(n, 0)
            await sleep(20)
          }
        })()
        await sleep(1000)
        await broker.stop('SIGKILL')
        await sleep(3000)
        await broker.start()
        const back = Date.now()
        await until(async () => 'kind' in (await send(0, 3000)) && seen.at(-1) === 'completed', 30_000)
        // The session time-out and a generous allowance for a busy machine.
        expect(Date.now() - back).toBeLessThan(25_000)
        isSending = false
        await sending
        expect(down.length).toBeGreaterThan(0)
        const stateOf = async (id: string) => (await gateway.operations.get(id))?.state
        await until(async () => {
          for (const id of accepted) if ((await stateOf(id)) === 'running') return false
          return true
        }, 40_000)
        const states = await Promise.all([...accepted].map(stateOf))
        expect(states.filter((state) => state !== 'succeeded')).toEqual([])
        expect(accepted.size).toBeGreaterThan(30)
      } finally {
        await Promise.all([gateway.close(), worker.close()])
      }
    }, 150_000)
  }

  it('a member whose heartbeat has failed once is in its group afterwards', async () => {
    const topics = { requests: await made.create('heartbeat.requests', 2) }
    const sessionTimeoutMs = 15_000
    const client = platformatic({ bootstrapBrokers: made.brokers, sessionTimeoutMs })
    const group = `${made.prefix}.heartbeat`
    const worker = createWorker<Events>({ transport: kafka({ client, topics }), group, onError: () => {} })
    worker.handle('Ask', async ({ data }) => ({ type: 'Answered', data }))
    const admin = new Admin({ clientId: group, bootstrapBrokers: made.brokers })
    try {
      await worker.start()
      await broker.stop('SIGKILL')
      // Long enough for a heartbeat to fail, and shorter than the session.
      await sleep(4500)
      await broker.start()
      await sleep(sessionTimeoutMs + 2000)
      const found = await admin.describeGroups({ groups: [group] })
      expect(found.get(group)).toMatchObject({ state: 'STABLE', members: expect.toSatisfy(({ size }) => size === 1) })
    } finally {
      await admin.close()
      await worker.close()
    }
  }, 90_000)
})
