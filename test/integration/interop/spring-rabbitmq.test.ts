import amqplib from 'amqplib'
import { memoryStore, ok, problem, spring } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { type Asking, openAsking } from './asking.js'
import { startSpring, whyNoSpring } from './spring.js'
import type { WorkerProcess } from './worker-process.js'

const skipped = (await whyNoRabbitMq()) !== undefined || whyNoSpring() !== undefined
const QUEUES = ['create', 'risky', 'announce', 'import', 'typed']

describe.skipIf(skipped)('a Spring Boot 3.5 worker on RabbitMQ, unchanged', () => {
  const prefix = uniquePrefix()
  const client = new RecordingClient()
  const name = (short: string) => `${prefix}.${short}`
  let worker: WorkerProcess
  let asking: Asking

  beforeAll(async () => {
    worker = await startSpring({ PREFIX: prefix, AMQP_URL, BROKER: 'rabbitmq' })
    const transport = amqp({
      ...{ url: AMQP_URL, client, prefix },
      requests: {
        routes: {
          ...Object.fromEntries(QUEUES.map((queue) => [queue, { key: name(queue) }])),
          refuse: { key: name('typed') },
        },
      },
      results: { exchange: name('events'), keys: ['users.#'] },
    })
    asking = await openAsking({ transport, store: memoryStore(), service: prefix, operationTtlMs: 3000 }, commands())
  }, 180_000)

  afterAll(async () => {
    await asking?.close()
    await worker?.stop()
    await client.cleanUp()
    await removeWorkers()
  }, 60_000)

  /** What the worker has declared for itself. */
  async function removeWorkers(): Promise<void> {
    const connection = await amqplib.connect(AMQP_URL)
    const channel = await connection.createChannel()
    for (const queue of QUEUES) await channel.deleteQueue(name(queue))
    await channel.deleteExchange(name('events'))
    await connection.close()
  }

  const KINDS = ['create', 'risky', 'announce', 'import'] as const

  it.each(KINDS)('INTEROP-S2 INTEROP-S3 INTEROP-S6 %s: success keeps every digit of a Java long', async (kind) => {
    const answer = await asking.post(kind, { username: 'ada' })
    expect([answer.status, answer.body]).toEqual([200, '{"id":"user-ada","username":"ada","number":9007199254740993}'])
  })

  it.each(KINDS)(
    'INTEROP-S4 %s: a negative answer, told from its body as the declared type is Object',
    async (kind) => {
      const answer = await asking.post(kind, { username: 'taken' })
      expect([answer.status, JSON.parse(answer.body).data]).toEqual([409, { reason: 'duplicate' }])
    },
  )

  it('INTEROP-S4 a class of several handlers is found by typeId, and its answers by the names of their classes', async () => {
    const good = await asking.post('typed', { username: 'ada' })
    expect([good.status, JSON.parse(good.body)]).toMatchObject([200, { id: 'user-ada' }])
    const bad = await asking.post('refuse', { reason: 'mine' })
    expect([bad.status, JSON.parse(bad.body).data]).toEqual([409, { reason: 'mine' }])
  })

  it('P14 INTEROP an exception that is returned is a failure, and neither its text nor its stack is shown', async () => {
    const answer = await asking.post('risky', { username: 'boom' })
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
      500,
      { code: 'ERR_WORKER_FAILED', data: { reason: 'exception' } },
    ])
    expect(answer.body).not.toMatch(/hunter2|stackTrace|java|spring/i)
  })

  const silent = ['create', 'announce', 'import'].flatMap((kind) =>
    ['boom', 'nothing'].map((who) => [kind, who] as const),
  )
  it.each([...silent, ['risky', 'nothing'] as const])(
    'P14 INTEROP-S2 %s %s: no answer at all, so the deadline of the operation answers',
    async (kind, username) => {
      expect(await asking.ended(kind, { username })).toMatchObject({ state: 'expired', result: undefined })
    },
  )

  it('INTEROP-S1 answers of many requests at once reach their requests; the worker keeps its channel', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => asking.post('create', { username: `u${n}` })))
    expect(all.map(({ body }) => JSON.parse(body).id)).toEqual(Array.from({ length: 20 }, (_, n) => `user-u${n}`))
    expect(worker.output).not.toMatch(/ERROR/)
  })

  it('INTEROP-S5 a queue of the worker is left as it was: nothing of it is declared here', () => {
    expect([...client.queues].filter((queue) => QUEUES.map(name).includes(queue))).toEqual([])
  })
})

function commands() {
  const outcomes = { 'User::UserCreated': ok(), 'User::UserNotCreated': problem(409) }
  const byBody = ({ data }: { data: unknown }) =>
    (data as { reason?: string }).reason ? 'User::UserNotCreated' : 'User::UserCreated'
  return [
    ...['create', 'risky'].map((publish) => ({ publish, outcomes, profile: spring(), resultType: byBody })),
    ...['announce', 'import'].map((publish) => ({
      publish,
      outcomes,
      profile: spring({ answers: 'event' }),
      resultType: byBody,
    })),
    { publish: 'typed', outcomes, profile: spring({ typeId: 'example.Users$CreateUser' }) },
    { publish: 'refuse', outcomes, profile: spring({ typeId: 'example.Users$UserNotCreated' }) },
  ] as never[]
}
