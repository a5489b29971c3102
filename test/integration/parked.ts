import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'

/** Requests at once come as connections at once, of which a server that is busy keeps some hundred. */
const BATCH = 200

/** A gateway of the demo that is told to end, and another one. */
export interface Drained {
  readonly origin: string
  readonly otherOrigin: string
  /** Tells it to end. */
  signal(): void
}

interface Answer {
  readonly status: number | undefined
  readonly location: string | undefined
  readonly at: number
}

/**
 * Has 1,000 requests wait at a gateway and tells it to end: each must be answered 202 within a second, and each must
 * have its result at the other one.
 */
export async function expectParkedToBeKept({ origin, otherOrigin, signal }: Drained): Promise<void> {
  const asked: Promise<Answer>[] = []
  const agent = new Agent()
  for (let batch = 0; batch < 5; batch += 1) {
    for (let n = 0; n < BATCH; n += 1) asked.push(park(origin, agent, asked.length))
    await sleep(500)
  }
  await sleep(4000)
  const toldAt = performance.now()
  signal()
  const answers = await Promise.all(asked)
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
  const took = answers.map(({ at }) => at - toldAt)
  expect(Math.min(...took)).toBeGreaterThan(0)
  expect(Math.max(...took)).toBeLessThan(1000)
  const ends = answers.map(({ location }) => fetch(`${otherOrigin}${location}`, { headers: { prefer: 'wait=30' } }))
  for (const end of await Promise.all(ends)) expect(end.status, await end.text()).toBe(201)
}

/** Not with `fetch`, which takes longer for a thousand answers than the gateway does. */
async function park(origin: string, agent: Agent, index: number): Promise<Answer> {
  const body = JSON.stringify({ username: `parked-${index}`, simulate: { delayMs: 15_000 } })
  const headers = { 'content-type': 'application/json', 'content-length': body.length, prefer: 'wait=30' }
  const asking = request(`${origin}/users`, { method: 'POST', agent, headers }).end(body)
  const [answer] = (await once(asking, 'response')) as [IncomingMessage]
  await once(answer.resume(), 'end')
  return { status: answer.statusCode, location: answer.headers.location, at: performance.now() }
}
