import { readFileSync } from 'node:fs'
import { follow } from 'respond-async/client'
import { afterEach, describe, expect, it } from 'vitest'
import { answers, type Child, startChild } from './child.js'

const JSON_BODY = { 'content-type': 'application/json' }

const children = new Set<Child>()

/** Starts an example and waits until it listens. */
async function start(file: string, env?: Record<string, string>): Promise<Child> {
  const child = await startChild(`examples/${file}`, env ? { env } : {})
  children.add(child)
  await answers(child)
  return child
}

// What a failed test has left behind.
afterEach(async () => {
  await Promise.all([...children].map((child) => child.stop()))
  children.clear()
})

describe('examples', () => {
  it.each(['express-memory', 'fastify-memory', 'hono-memory'])(
    '%s answers at once, later, and negatively',
    async (name) => {
      const child = await start(`${name}/main.ts`)
      const url = `${child.origin}/users`
      const body = JSON.stringify({ username: 'ada' })
      const created = await fetch(url, { method: 'POST', headers: JSON_BODY, body })
      expect(created.status).toBe(201)
      const user = (await created.json()) as { id: string }
      expect(user).toEqual({ id: expect.any(String), username: 'ada' })
      expect(created.headers.get('location')).toBe(`/users/${user.id}`)

      const duplicate = await fetch(url, { method: 'POST', headers: JSON_BODY, body })
      expect(duplicate.status).toBe(409)
      expect(duplicate.headers.get('content-type')).toBe('application/problem+json')

      const other = JSON.stringify({ username: 'grace' })
      const accepted = await fetch(url, {
        method: 'POST',
        headers: { ...JSON_BODY, prefer: 'respond-async' },
        body: other,
      })
      expect(accepted.status).toBe(202)
      const late = await fetch(child.origin + accepted.headers.get('location'), { headers: { prefer: 'wait=5' } })
      expect(late.status).toBe(201)
      expect(await late.json()).toMatchObject({ username: 'grace' })

      const malformed = await fetch(url, { method: 'POST', headers: JSON_BODY, body: '{"username":' })
      expect([malformed.status, malformed.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
      expect(await child.stop()).toBe(0)
    },
  )

  it('nest-gateway answers from a controller: at once, later, and negatively', async () => {
    const child = await start('nest-gateway/main.ts', { TSX_TSCONFIG_PATH: 'examples/nest-gateway/tsconfig.json' })
    const post = (username: string, headers = {}) =>
      fetch(`${child.origin}/users`, {
        method: 'POST',
        headers: { ...JSON_BODY, ...headers },
        body: JSON.stringify({ username }),
      })
    expect((await post('ada')).status).toBe(201)
    expect((await post('ada')).status).toBe(409)
    const accepted = await post('grace', { prefer: 'respond-async' })
    expect(accepted.status).toBe(202)
    const late = await fetch(child.origin + accepted.headers.get('location'), { headers: { prefer: 'wait=5' } })
    expect([late.status, await late.json()]).toMatchObject([201, { username: 'grace' }])
    expect(await child.stop()).toBe(0)
    // Nest takes its time to be loaded.
  }, 90_000)

  it('fastify-memory refuses by the schema of its route', async () => {
    const child = await start('fastify-memory/main.ts')
    const answer = await fetch(`${child.origin}/users`, { method: 'POST', headers: JSON_BODY, body: '{"username":""}' })
    expect(answer.status).toBe(400)
    expect(await child.stop()).toBe(0)
  })

  it('custom-transport answers, and the bus of the application hears the result', async () => {
    const child = await start('custom-transport/main.ts')
    const body = JSON.stringify({ to: 'ada' })
    const answer = await follow(`${child.origin}/letters`, {
      method: 'POST',
      headers: JSON_BODY,
      body,
      prefer: 'respond-async',
    })
    expect(answer.status).toBe(201)
    const { id } = (await answer.json()) as { id: string }
    expect(child.output()).toContain(`SendLetter::LetterSent of ${id}`)
    expect(await child.stop()).toBe(0)
  })

  it('without-http runs its job again and again, and does the work of each day once', async () => {
    const child = await startChild('examples/without-http/main.ts', { env: { EVERY_MS: '50' } })
    children.add(child)
    await child.prints(/: 42 orders, replayed: false\n.*: 42 orders, replayed: true\n/s)
    expect(child.output()).toMatch(/: not closed, The day is not over\.\n/)
    expect(child.output().match(/42 orders, replayed: false/g)).toHaveLength(1)
    expect(await child.stop()).toBe(0)
  })
})

describe('the existing service', () => {
  const post = (origin: string, body: unknown, headers = {}) =>
    fetch(`${origin}/reservations`, {
      method: 'POST',
      headers: { ...JSON_BODY, 'x-customer': 'ada', ...headers },
      body: JSON.stringify(body),
    })

  it.each(['before', 'after'])('%s: middleware, checks and quick answers are the same', async (name) => {
    const child = await start(`existing-service/${name}.ts`)
    expect(await (await fetch(`${child.origin}/healthz`)).text()).toBe('ok')
    const reserved = await post(child.origin, { item: 'lamp' })
    expect([reserved.status, await reserved.json()]).toEqual([201, { item: 'lamp', customer: 'ada', shelf: 4 }])
    expect((await post(child.origin, { item: 'unicorn' })).status).toBe(409)
    const missing = await post(child.origin, {})
    expect([missing.status, await missing.json()]).toEqual([400, { error: 'item is missing' }])
    expect((await post(child.origin, { item: 'lamp' }, { 'x-customer': '' })).status).toBe(401)
    expect(await child.stop()).toBe(0)
  })

  it('after: a slow request gets 202 after a second, and its answer later', async () => {
    const child = await start('existing-service/after.ts')
    const accepted = await post(child.origin, { item: 'slow boat' })
    expect(accepted.status).toBe(202)
    const reserved = await fetch(child.origin + accepted.headers.get('location'), { headers: { prefer: 'wait=5' } })
    expect([reserved.status, await reserved.json()]).toEqual([201, { item: 'slow boat', customer: 'ada', shelf: 9 }])
    expect(await child.stop()).toBe(0)
  })

  it('the diff is small: four lines of before.ts go', () => {
    const [before, after] = ['before', 'after'].map((name) =>
      readFileSync(`examples/existing-service/${name}.ts`, 'utf8').trimEnd().split('\n'),
    )
    const gone = before?.filter((line) => !after?.includes(line))
    expect(gone).toEqual([
      "import { reserve } from './warehouse.js'",
      '  const reservation = await reserve(item, res.locals.customer)',
      '  if (reservation) res.status(201).json(reservation)',
      "  else res.status(409).json({ error: 'out of stock' })",
    ])
  })
})

describe('the folders of the examples', () => {
  const sizes = [
    ['express-memory/main.ts', 60],
    ['express-amqp/main.ts', 60],
    ['fastify-memory/main.ts', 60],
    ['fastify-kafka/main.ts', 60],
    ['hono-memory/main.ts', 60],
    ['existing-service/after.ts', 60],
    ['without-http/main.ts', 60],
    ['custom-transport/main.ts', 60],
    ['nest-gateway/main.ts', 70],
    ['nest-worker/main.ts', 60],
    ['spring-worker/src/main/java/example/Users.java', 60],
  ] as const

  it.each(sizes)('%s has at most %d lines, and a README of one paragraph', (file, most) => {
    const folder = file.split('/')[0]
    expect(readFileSync(`examples/${file}`, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(most)
    const [title, ...paragraphs] = readFileSync(`examples/${folder}/README.md`, 'utf8').trimEnd().split('\n\n')
    expect(title).toMatch(/^# /)
    expect(paragraphs).toHaveLength(1)
  })
})
