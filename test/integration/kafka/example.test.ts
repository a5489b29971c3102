import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { noKafka, type TestTopics, testTopics } from '../../support/kafka.js'
import { answers, type Child, startChild } from '../child.js'

const headers = { 'content-type': 'application/json' }

describe.skipIf(noKafka !== undefined)(`fastify-kafka${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
  let made: TestTopics
  let child: Child | undefined
  beforeAll(async () => {
    made = await testTopics()
  }, 180_000)
  afterEach(async () => void (await child?.stop()))
  afterAll(() => made?.remove())

  const start = () =>
    startChild('examples/fastify-kafka/main.ts', {
      env: { KAFKA_BROKERS: made.brokers.join(), TOPIC_PREFIX: made.prefix },
    })

  it('says which topics are missing, then answers at once, later and negatively', async () => {
    child = await start()
    await child.prints(/Kafka has no topic .*requests/)
    expect(await child.ended).not.toBe(0)
    await made.create('requests', 3)
    await made.create('results', 3)
    child = await start()
    await answers(child)
    const post = (username: string, more: Record<string, string> = {}) =>
      fetch(`${child?.origin}/users`, {
        method: 'POST',
        headers: { ...headers, ...more },
        body: JSON.stringify({ username }),
      })
    expect((await post('ada')).status).toBe(201)
    expect((await post('ada')).status).toBe(409)
    const accepted = await post('grace', { prefer: 'respond-async' })
    expect(accepted.status).toBe(202)
    const late = await fetch(`${child.origin}${accepted.headers.get('location')}`, { headers: { prefer: 'wait=10' } })
    expect([late.status, await late.json()]).toEqual([201, expect.objectContaining({ username: 'grace' })])
    expect(await child.stop()).toBe(0)
  }, 120_000)
})
