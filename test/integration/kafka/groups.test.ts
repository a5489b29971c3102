import { setTimeout as sleep } from 'node:timers/promises'
import { Admin, Consumer } from '@platformatic/kafka'
import { createGateway, type Gateway, memoryStore } from 'respond-async'
import { kafka } from 'respond-async/kafka'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { encodeOwned, PROTOCOL } from '../../../src/transports/kafka/assign.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'

interface Events {
  Ask: { n: number }
  Answered: { n: number }
}

interface Closeable {
  close(): Promise<void>
}

for (const [name, connect] of Object.entries(kafkaClients)) {
  describe.skipIf(noKafka !== undefined)(`groups on ${name}${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
    let made: TestTopics
    const opened: Closeable[] = []
    beforeAll(async () => {
      made = await testTopics()
    }, 180_000)
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((part) => part.close()))
    })
    afterAll(() => made?.remove())

    async function topicsOf(title: string, partitions: number) {
      return {
        requests: await made.create(`${title}.requests`, partitions),
        results: await made.create(`${title}.results`, partitions),
      }
    }

    type Topics = Awaited<ReturnType<typeof topicsOf>>

    function keep<Part extends Closeable>(part: Part): Part {
      opened.push(part)
      return part
    }

    async function openGateway(topics: Topics, options: object = {}) {
      const transport = kafka({ client: connect(made.brokers), topics })
      const gateway = keep(createGateway<Events>({ transport, waitMs: 20_000, service: topics.results, ...options }))
      const ask = gateway.command({ publish: 'Ask', outcomes: { Answered: 'succeeded' } })
      await gateway.start()
      return { gateway, ask: (n: number, waitMs = 20_000) => ask.request({ n }, { waitMs }) }
    }

    async function openWorker(topics: Topics, handle: (n: number) => Promise<void>, concurrency = 64) {
      const transport = kafka({ client: connect(made.brokers), topics })
      const worker = keep(createWorker<Events>({ transport, group: topics.requests, concurrency }))
      worker.handle('Ask', async ({ data }) => {
        await handle(data.n)
        return { type: 'Answered', data }
      })
      await worker.start()
      return worker
    }

    it('FM-C5 members that come and go in mid flight lose no request', async () => {
      const topics = await topicsOf('rebalance', 6)
      const { ask } = await openGateway(topics)
      const handled = new Map<number, number>()
      const handle = async (n: number) => {
        await sleep(5 + (n % 7) * 10)
        handled.set(n, (handled.get(n) ?? 0) + 1)
      }
      const first = await openWorker(topics, handle, 8)
      const replies: Promise<{ kind: string }>[] = []
      const asking = (async () => {
        for (let n = 0; n < 400; n += 1) {
          replies.push(ask(n))
          await sleep(10)
        }
      })()
      await openWorker(topics, handle, 8)
      await openWorker(topics, handle, 8)
      await first.close()
      await asking
      const kinds = (await Promise.all(replies)).map(({ kind }) => kind)
      expect(kinds.filter((kind) => kind !== 'completed')).toEqual([])
      expect(handled.size).toBe(400)
      // What moves is delivered again when it was under way; most must not be.
      const repeated = [...handled.values()].filter((times) => times > 1).length
      expect(repeated).toBeLessThan(100)
    }, 60_000)

    it('FM-C1 the result of an operation whose gateway has gone is recorded by another', async () => {
      const topics = await topicsOf('owner', 3)
      const store = memoryStore()
      const owner = await openGateway(topics, { store })
      const other = await openGateway(topics, { store })
      let answer = (): void => {}
      const gate = new Promise<void>((resolve) => {
        answer = resolve
      })
      await openWorker(topics, () => gate)
      const { operation } = await owner.ask(1, 0).then((reply) => reply as { operation: { id: string } })
      await owner.gateway.close()
      answer()
      await until(async () => (await stateOf(other.gateway, operation.id)) === 'succeeded', 20_000)
    }, 60_000)

    it('a gateway starts although the broker waits for a member of its group that has died', async () => {
      const topics = await topicsOf('dead', 2)
      const member = new Consumer({
        bootstrapBrokers: made.brokers,
        clientId: 'dead',
        groupId: `${topics.results}.recorder`,
        // It does not hear of the rebalance for longer than any other request may take.
        ...{ sessionTimeout: 8000, heartbeatInterval: 7000, rebalanceTimeout: 16_000 },
        protocols: [{ name: PROTOCOL, version: 1, metadata: encodeOwned([]) }],
      })
      keep({ close: async () => member.close(true) })
      member.topics.trackAll(topics.results)
      await member.joinGroup({})
      const { gateway } = await openGateway(topics, { store: memoryStore() })
      expect(gateway.isReady).toBe(true)
    }, 60_000)

    it('a worker holds a thousand requests at once, and its commits stay in order', async () => {
      const topics = await topicsOf('many', 2)
      const { ask } = await openGateway(topics)
      let running = 0
      let most = 0
      let open = (): void => {}
      const gate = new Promise<void>((resolve) => {
        open = resolve
      })
      const worker = await openWorker(
        topics,
        async () => {
          running += 1
          most = Math.max(most, running)
          await gate
          running -= 1
        },
        1000,
      )
      const replies = Array.from({ length: 1000 }, (_, n) => ask(n))
      await until(() => running === 1000, 20_000)
      open()
      expect(new Set((await Promise.all(replies)).map(({ kind }) => kind))).toEqual(new Set(['completed']))
      expect(most).toBe(1000)
      await worker.close()
      // All is committed: who comes next gets nothing of it.
      let again = 0
      await openWorker(topics, async () => {
        again += 1
      })
      // A busy machine may answer it with 202.
      await ask(2000)
      await until(() => again > 0, 20_000)
      expect(again).toBe(1)
    }, 60_000)

    it("with wake: 'store' a gateway reads results only where it records them", async () => {
      const topics = await topicsOf('wake', 3)
      const store = memoryStore()
      const two = [
        await openGateway(topics, { store, wake: 'store' }),
        await openGateway(topics, { store, wake: 'store' }),
      ]
      await openWorker(topics, async () => {})
      const replies = await Promise.all(Array.from({ length: 60 }, (_, n) => two[n % 2]?.ask(n)))
      expect(new Set(replies.map((reply) => reply?.kind))).toEqual(new Set(['completed']))
      const sum = (names: readonly ('completed' | 'skipped' | 'duplicate')[]) =>
        two.flatMap(({ gateway }) => names.map((one) => gateway.counters[one])).reduce((all, one) => all + one, 0)
      await until(() => sum(['completed']) === 60)
      expect(sum(['skipped', 'duplicate'])).toBe(0)
    }, 60_000)

    it('FM-C7 results in partitions that were added later are read', async () => {
      const topics = await topicsOf('growing', 1)
      const { ask } = await openGateway(topics)
      await openWorker(topics, async () => {})
      expect(await ask(0)).toMatchObject({ kind: 'completed' })
      const admin = new Admin({ clientId: 'test', bootstrapBrokers: made.brokers })
      await admin.createPartitions({ topics: [{ name: topics.results, count: 4, assignments: null }] } as never)
      await admin.close()
      // Keyless results go round; all of them are answered, those in new partitions once these have been seen.
      const replies = []
      for (let n = 0; n < 24; n += 1) {
        replies.push(ask(n, 45_000))
        await sleep(250)
      }
      expect(new Set((await Promise.all(replies)).map(({ kind }) => kind))).toEqual(new Set(['completed']))
    }, 90_000)
  })
}

async function stateOf(gateway: Gateway<Events>, id: string): Promise<string | undefined> {
  return (await gateway.operations.get(id))?.state
}
