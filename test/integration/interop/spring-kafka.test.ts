import { memoryStore, ok, problem, spring } from 'respond-async'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafka } from '../../../src/transports/kafka/index.js'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { type Asking, openAsking } from './asking.js'
import { startSpring, whyNoSpring } from './spring.js'
import { missing, type WorkerProcess } from './worker-process.js'

const skipped = missing(noKafka) !== undefined || whyNoSpring() !== undefined

describe.skipIf(skipped)('a Spring Boot 3.5 worker on Kafka, unchanged', () => {
  let topics: TestTopics
  let worker: WorkerProcess
  let asking: Asking
  const name = (short: string) => `${topics.prefix}.${short}`
  const KINDS = ['create', 'announce', 'import'] as const

  beforeAll(async () => {
    topics = await testTopics()
    for (const topic of [...KINDS, 'announced', 'imported']) await topics.create(topic)
    await topics.create('replies', 3)
    worker = await startSpring({ PREFIX: topics.prefix, KAFKA_BROKERS: topics.brokers.join(','), BROKER: 'kafka' })
    const transport = kafka({
      brokers: topics.brokers,
      topics: {
        requests: { ...Object.fromEntries(KINDS.map((kind) => [kind, name(kind)])), typed: name('create') },
        results: Object.fromEntries(['replies', 'announced', 'imported'].map((topic) => [topic, name(topic)])),
        replyTo: name('replies'),
      },
    })
    const options = { transport, store: memoryStore(), service: topics.prefix, operationTtlMs: 5000 }
    asking = await openAsking(options, commands())
  }, 300_000)

  afterAll(async () => {
    await asking?.close()
    await worker?.stop()
    await topics?.remove()
  }, 60_000)

  it.each(KINDS)('Q03 INTEROP-K1 INTEROP-K2 INTEROP-N5 %s: success keeps every digit of a Java long', async (kind) => {
    const answer = await asking.post(kind, { username: 'ada' })
    expect([answer.status, answer.body]).toEqual([200, '{"id":"user-ada","username":"ada","number":9007199254740993}'])
  })

  it('Q14 INTEROP a worker that chooses by __TypeId__ gets it as bytes', async () => {
    const answer = await asking.post('typed', { username: 'ada' })
    expect([answer.status, JSON.parse(answer.body).id]).toEqual([200, 'user-ada'])
  })

  it.each(KINDS)('INTEROP %s: a negative answer, told by the name of its class', async (kind) => {
    const answer = await asking.post(kind, { username: 'taken' })
    expect([answer.status, JSON.parse(answer.body).data]).toEqual([409, { reason: 'duplicate' }])
  })

  const silent = KINDS.flatMap((kind) => ['boom', 'nothing'].map((who) => [kind, who] as const))
  it.each(silent)(
    'INTEROP %s %s: no answer at all, so the deadline of the operation answers',
    async (kind, username) => {
      expect(await asking.ended(kind, { username })).toMatchObject({ state: 'expired', result: undefined })
    },
  )
})

/** Kafka's `__TypeId__` is the class of the value, so that no `resultType` is needed. */
function commands() {
  const outcomes = { 'User::UserCreated': ok(), 'User::UserNotCreated': problem(409) }
  return [
    { publish: 'create', outcomes, profile: spring() },
    { publish: 'typed', outcomes, profile: spring({ typeId: 'example.Users$CreateUser' }) },
    { publish: 'announce', outcomes, profile: spring({ answers: 'event' }) },
    { publish: 'import', outcomes, profile: spring({ answers: 'event' }) },
  ] as never[]
}
