import { memoryStore, nest, ok, problem } from 'respond-async'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafka } from '../../../src/transports/kafka/index.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { type Asking, openAsking } from './asking.js'
import { NEST, type NestRelease, startNest, whyNoNest } from './nest.js'
import { missing, type WorkerProcess } from './worker-process.js'

const noBroker = missing(noKafka)

for (const release of Object.keys(NEST) as NestRelease[]) {
  const skipped = noBroker !== undefined || whyNoNest(release) !== undefined

  describe.skipIf(skipped)(`a ${release} worker on Kafka, unchanged`, () => {
    let topics: TestTopics
    let worker: WorkerProcess
    let asking: Asking
    const name = (short: string) => `${topics.prefix}.${short}`

    beforeAll(async () => {
      topics = await testTopics()
      for (const topic of ['create', 'list', 'trickle', 'import', 'imported', 'not-imported'])
        await topics.create(topic)
      // Several, as an answer without a key may be in any of them.
      await topics.create('replies', 3)
      worker = await startNest(release, {
        PREFIX: topics.prefix,
        KAFKA_BROKERS: topics.brokers.join(','),
        BROKER: 'kafka',
      })
      const requests = { create: 'create', first: 'list', list: 'list', trickle: 'trickle', import: 'import' }
      const transport = kafka({
        brokers: topics.brokers,
        topics: {
          requests: Object.fromEntries(Object.entries(requests).map(([type, topic]) => [name(type), name(topic)])),
          results: Object.fromEntries(
            ['replies', 'imported', 'not-imported'].map((topic) => [name(topic), name(topic)]),
          ),
          replyTo: name('replies'),
        },
      })
      const options = { transport, store: memoryStore(), service: topics.prefix, operationTtlMs: 5000 }
      asking = await openAsking(options, commands(name))
    }, 300_000)

    afterAll(async () => {
      await asking?.close()
      await worker?.stop()
      await topics?.remove()
    }, 60_000)

    it('Q04 INTEROP-N5 INTEROP-K3 INTEROP-K7 reply to the sender: success, without a partition', async () => {
      const answer = await asking.post(name('create'), { username: 'ada' })
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { id: 'user-ada', username: 'ada' }])
    })

    it('INTEROP reply to the sender: a negative answer by RpcException', async () => {
      const answer = await asking.post(name('create'), { username: 'taken' })
      expect([answer.status, JSON.parse(answer.body).data]).toEqual([409, { reason: 'duplicate', username: 'taken' }])
    })

    it('INTEROP reply to the sender: an exception ends the operation, and its text stays in the worker', async () => {
      const answer = await asking.post(name('create'), { username: 'boom' })
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([500, { data: { reason: 'exception' } }])
      expect(answer.body).not.toMatch(/hunter2/)
    })

    it('INTEROP-K8 reply to the sender: void', async () => {
      const answer = await asking.post(name('create'), { username: 'nothing' })
      expect([answer.status, answer.body]).toEqual([200, 'null'])
    })

    it('INTEROP-K8 several values: the first one that is read is the result, never the end', async () => {
      const answers = await Promise.all(Array.from({ length: 10 }, () => asking.post(name('first'), { count: 3 })))
      for (const { status, body } of answers)
        expect([status, JSON.parse(body)]).toMatchObject([200, { username: 'same' }])
    })

    it('INTEROP-K8 several values: the list has all of them, on whichever partitions they and the end were', async () => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => asking.post(name('list'), { count: 5 })))
      for (const { status, body } of answers) {
        const values = JSON.parse(body).map(({ n }: { n: number }) => n)
        expect([status, values.sort()]).toEqual([200, [0, 0, 0, 1, 1]])
      }
      const slow = await asking.post(name('trickle'), { count: 4 })
      expect([slow.status, JSON.parse(slow.body)]).toEqual([200, [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }]])
    })

    // Of an Observable without values Nest 11 never returns to its consumer: the whole worker would stand still.
    it.skipIf(release === 'Nest 11')('INTEROP-K8 several values: none make an empty list', async () => {
      const none = await asking.post(name('list'), { count: 0 })
      expect([none.status, none.body]).toEqual([200, '[]'])
    })

    it('INTEROP-K8 several values: one that is undefined has its place in the list, and is no end', async () => {
      const answer = await asking.post(name('list'), { count: 3, gaps: true })
      expect([answer.status, JSON.parse(answer.body).filter((value: unknown) => value === null)]).toEqual([200, [null]])
      expect(JSON.parse(answer.body)).toHaveLength(3)
    })

    it('INTEROP several values: an error behind them ends the operation', async () => {
      const answer = await asking.post(name('list'), { count: 2, fails: true })
      expect([answer.status, JSON.parse(answer.body).data]).toEqual([409, { reason: 'interrupted' }])
    })

    it('Q13 INTEROP-K5 an event that the worker publishes by itself: success and negative answer', async () => {
      const good = await asking.post(name('import'), { username: 'ada' })
      expect([good.status, JSON.parse(good.body)]).toEqual([200, { id: 'user-ada', username: 'ada' }])
      const bad = await asking.post(name('import'), { username: 'taken' })
      expect([bad.status, JSON.parse(bad.body).data]).toEqual([409, { reason: 'duplicate' }])
    })

    it('INTEROP an event handler that says nothing: the deadline of the operation answers, the worker goes on', async () => {
      expect(await asking.ended(name('import'), { username: 'nothing' })).toMatchObject({ state: 'expired' })
      const next = await asking.post(name('import'), { username: 'ada' })
      expect([next.status, JSON.parse(next.body)]).toEqual([200, { id: 'user-ada', username: 'ada' }])
    })

    // The last one, as what comes behind such a request in its partition waits until Nest is done with it.
    it('INTEROP an exception of an event handler: the worker is given the request again, the deadline answers', async () => {
      const thrown = () => worker.output.split('hunter2').length - 1
      const before = thrown()
      const ended = await asking.ended(name('import'), { username: 'boom' })
      expect(ended).toMatchObject({ state: 'expired', result: undefined })
      await expect.poll(() => thrown() - before, { timeout: 10_000 }).toBeGreaterThan(1)
    })
  })
}

function commands(name: (short: string) => string) {
  const outcomes = { Done: ok(), Refused: problem(409) }
  const asked = { outcomes, profile: nest() }
  return [
    { publish: name('create'), ...asked },
    { publish: name('first'), ...asked },
    { publish: name('list'), ...asked, replies: 'many' },
    { publish: name('trickle'), ...asked, replies: 'many' },
    {
      publish: name('import'),
      outcomes: { [name('imported')]: ok(), [name('not-imported')]: problem(409) },
      profile: nest({ answers: 'event' }),
    },
  ] as never[]
}
