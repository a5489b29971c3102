import amqplib from 'amqplib'
import { memoryStore, nest, noContent, ok, problem } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { type Asking, openAsking } from './asking.js'
import { NEST, type NestRelease, startNest, whyNoNest } from './nest.js'
import type { WorkerProcess } from './worker-process.js'

const noBroker = await whyNoRabbitMq()

for (const release of Object.keys(NEST) as NestRelease[]) {
  const skipped = noBroker !== undefined || whyNoNest(release) !== undefined

  describe.skipIf(skipped)(`a ${release} worker on RabbitMQ, unchanged`, () => {
    const prefix = uniquePrefix()
    const client = new RecordingClient()
    const name = (short: string) => `${prefix}.${short}`
    let worker: WorkerProcess
    let asking: Asking

    beforeAll(async () => {
      worker = await startNest(release, { PREFIX: prefix, AMQP_URL })
      const route = { key: name('requests') }
      const transport = amqp({
        url: AMQP_URL,
        client,
        prefix,
        requests: {
          routes: Object.fromEntries(
            ['create', 'list', 'first', 'trickle', 'unknown', 'import'].map((one) => [name(one), route]),
          ),
        },
        results: { exchange: name('events') },
      })
      asking = await openAsking(
        { transport, store: memoryStore(), service: prefix, operationTtlMs: 3000 },
        commands(name),
      )
    }, 180_000)

    afterAll(async () => {
      await asking?.close()
      await worker?.stop()
      await client.cleanUp()
      await removeWorkers(name)
    }, 60_000)

    it('P13 INTEROP reply to the sender: success', async () => {
      const answer = await asking.post(name('create'), { username: 'ada' })
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { id: 'user-ada', username: 'ada' }])
    })

    it('INTEROP reply to the sender: a negative answer by RpcException', async () => {
      const answer = await asking.post(name('create'), { username: 'taken' })
      expect(answer.status).toBe(409)
      expect(JSON.parse(answer.body)).toMatchObject({ data: { reason: 'duplicate', username: 'taken' } })
    })

    it('INTEROP reply to the sender: a negative answer that is a value, told by resultType', async () => {
      const answer = await asking.post(name('create'), { username: 'refused' })
      expect([answer.status, JSON.parse(answer.body).data]).toEqual([409, { reason: 'refused' }])
    })

    it('INTEROP reply to the sender: an exception ends the operation, and its text stays in the worker', async () => {
      const answer = await asking.post(name('create'), { username: 'boom' })
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
        500,
        { code: 'ERR_WORKER_FAILED', data: { reason: 'exception' } },
      ])
      expect(answer.body).not.toMatch(/hunter2/)
    })

    it('INTEROP-N1 INTEROP reply to the sender: void', async () => {
      const answer = await asking.post(name('create'), { username: 'nothing' })
      expect([answer.status, answer.body]).toEqual([200, 'null'])
    })

    it('INTEROP nobody handles the pattern: the worker says so, the operation fails', async () => {
      const answer = await asking.post(name('unknown'), {})
      expect([answer.status, JSON.parse(answer.body).data]).toEqual([500, { reason: 'unhandled' }])
    })

    it('INTEROP several values: by default the first is the result', async () => {
      const answer = await asking.post(name('first'), { count: 3 })
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { n: 0, username: 'same' }])
      const none = await asking.post(name('first'), { count: 0 })
      expect([none.status, none.body]).toEqual([200, 'null'])
    })

    it('INTEROP several values: each is progress, and their list is the result, equal ones included', async () => {
      const answer = await asking.post(name('list'), { count: 5 })
      expect([answer.status, JSON.parse(answer.body).map(({ n }: { n: number }) => n)]).toEqual([200, [0, 1, 0, 1, 0]])
      const none = await asking.post(name('list'), { count: 0 })
      expect([none.status, none.body]).toEqual([200, '[]'])
      expect(await asking.ended(name('trickle'), { count: 3 })).toMatchObject({
        state: 'succeeded',
        progress: { event: { body: Buffer.from('{"n":2}') } },
      })
    })

    it('INTEROP several values: one that is undefined has its place in the list, and ends nothing', async () => {
      const answer = await asking.post(name('list'), { count: 3, gaps: true })
      const value = { n: 0, username: 'same' }
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, [value, null, value]])
    })

    it('INTEROP several values: an error behind them ends the operation', async () => {
      const answer = await asking.post(name('list'), { count: 2, fails: true })
      expect([answer.status, JSON.parse(answer.body).data]).toEqual([409, { reason: 'interrupted' }])
    })

    it('INTEROP-N2 INTEROP-N3 an event that the worker publishes by itself: success', async () => {
      const answer = await asking.post(name('import'), { username: 'ada' })
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { id: 'user-ada', username: 'ada' }])
    })

    it('INTEROP an event that the worker publishes by itself: a negative answer', async () => {
      const answer = await asking.post(name('import'), { username: 'taken' })
      expect([answer.status, JSON.parse(answer.body).data]).toEqual([409, { reason: 'duplicate' }])
    })

    it.each(['boom', 'nothing'])(
      'INTEROP-N2 an event handler that says nothing (%s): the deadline of the operation answers',
      async (username) => {
        expect(await asking.ended(name('import'), { username })).toMatchObject({ state: 'expired', result: undefined })
      },
    )

    it('INTEROP-N4 answers overtake one another, each to its request', async () => {
      const slow = asking.post(name('trickle'), { count: 10 })
      const fast = await Promise.all(['a', 'b', 'c'].map((username) => asking.post(name('create'), { username })))
      expect(fast.map(({ body }) => JSON.parse(body).id)).toEqual(['user-a', 'user-b', 'user-c'])
      expect(JSON.parse((await slow).body)).toHaveLength(10)
    })
  })
}

function commands(name: (short: string) => string) {
  const answers = { [name('imported')]: ok(), [name('not-imported')]: problem(409) }
  const outcomes = { Done: ok(), Refused: problem(409) }
  const listing = { outcomes, profile: nest({ pattern: name('list') }) } as const
  return [
    {
      publish: name('create'),
      outcomes,
      profile: nest(),
      resultType: ({ data }: { data: unknown }, reply?: { failure?: string | undefined }) =>
        reply?.failure === undefined && (data as { reason?: string }).reason ? 'Refused' : undefined,
    },
    { publish: name('unknown'), outcomes: { Done: noContent(), Refused: problem(409) }, profile: nest() },
    { publish: name('first'), ...listing },
    { publish: name('list'), ...listing, replies: 'many' },
    { publish: name('trickle'), outcomes, profile: nest(), replies: 'many' },
    { publish: name('import'), outcomes: answers, profile: nest({ answers: 'event' }) },
  ] as never[]
}

/** What the worker has declared for itself. */
async function removeWorkers(name: (short: string) => string): Promise<void> {
  const connection = await amqplib.connect(AMQP_URL)
  const channel = await connection.createChannel()
  await channel.deleteQueue(name('requests'))
  await channel.deleteExchange(name('events'))
  await connection.close()
}
