import { Admin } from '@platformatic/kafka'
import { kafka } from 'respond-async/kafka'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { kafkaClients } from '../../support/kafka-clients.js'
import { missingRedis, RedisStores } from '../../support/redis/clients.js'
import { openSharedCopies } from '../../support/shared-copies.js'

const missing = noKafka ?? (await missingRedis())

describe.skipIf(missing !== undefined)(
  `a shared copy in Redis, fed by Kafka${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let made: TestTopics
    let admin: Admin
    const opened: (() => Promise<unknown>)[] = []
    beforeAll(async () => {
      made = await testTopics()
      admin = new Admin({ clientId: made.prefix, bootstrapBrokers: made.brokers })
    }, 180_000)
    afterEach(async () => {
      for (const end of opened.splice(0).reverse()) await end()
    })
    afterAll(async () => {
      await admin?.close()
      await made?.remove()
    })

    async function open(results: string) {
      const stores = new RedisStores()
      opened.push(() => stores.close())
      const copies = await openSharedCopies({
        connect: () =>
          kafka({ client: kafkaClients['@platformatic/kafka']?.(made.brokers) as never, topics: { results } }),
        openStore: async () => stores.create(),
      })
      opened.push(copies.close)
      return copies
    }

    it('has every event once, and is ready only when it has all, through a keeper that is killed', async () => {
      const { open: instance, publish, upTo } = await open(await made.create('once', 3))
      await publish(100)
      const [first, second] = [await instance(), await instance()]
      await Promise.all([first.model.start(), second.model.start()])
      expect(await second.numbers()).toEqual(upTo(100))
      await publish(100)
      first.kill()
      second.kill()
      await publish(100)
      const third = await instance()
      await third.model.start()
      expect(await third.numbers()).toEqual(upTo(300))
      expect(third.model.status).toMatchObject({ isReady: true, parked: 0 })
    }, 120_000)

    it('is refused, or loaded anew, when records behind its position were deleted', async () => {
      const topic = await made.create('gap')
      const { open: instance, publish, upTo } = await open(topic)
      const first = await instance()
      await first.model.start()
      await publish(10)
      await until(async () => (await first.numbers())?.length === 10, 20_000)
      await first.model.close()
      await publish(10)
      await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 15n }] }] })
      await expect((await instance()).model.start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
      const second = await instance({ load: () => [{ key: 'a', state: upTo(20) }] })
      await second.model.start()
      await publish(1)
      await until(async () => (await second.numbers())?.length === 21, 20_000)
      expect(await second.numbers()).toEqual(upTo(21))
    }, 90_000)

    it('reads a topic that is compacted by the key of the state', async () => {
      const { open: instance, publish } = await open(await made.create('compacted', 1, { 'cleanup.policy': 'compact' }))
      await publish(1)
      const { model, numbers } = await instance()
      await model.start()
      expect(await numbers()).toEqual([1])
    }, 60_000)
  },
)
