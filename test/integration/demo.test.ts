import { execFile, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Child, startChild } from './child.js'

const MAIN = 'examples/demo/main.ts'
const FRAMEWORKS = ['express', 'fastify', 'fetch'] as const
const WAIT_MS = 1000

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly json: Record<string, unknown>
}

/** A client of one demo. */
function clientOf(origin: string) {
  async function send(
    method: string,
    path: string,
    { body, ...headers }: Record<string, string> = {},
  ): Promise<Answer> {
    const init = { method, headers, redirect: 'manual' as const }
    const response = await fetch(origin + path, body === undefined ? init : { ...init, body })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') === true
    return { status: response.status, headers: response.headers, json: isJson ? JSON.parse(text) : { text } }
  }
  return {
    send,
    get: (path: string, headers = {}) => send('GET', path, headers),
    post: (user: unknown, headers = {}) =>
      send('POST', '/users', { 'content-type': 'application/json', ...headers, body: JSON.stringify(user) }),
  }
}

/** Starts the demo and waits until it says that it is there. */
async function startDemo(env: Readonly<Record<string, string>>): Promise<Child> {
  const child = await startChild(MAIN, { env: { GATEWAY_WAIT_MS: String(WAIT_MS), ...env } })
  await child.prints(/Ctrl-C drains and ends it/)
  return child
}

let count = 0
/** A username that nobody has. */
const fresh = () => `user-${++count}`

describe.each(FRAMEWORKS)('the demo on %s', (framework) => {
  let child: Child
  let client: ReturnType<typeof clientOf>

  beforeAll(async () => {
    child = await startDemo({ FRAMEWORK: framework })
    client = clientOf(child.origin)
  })

  afterAll(async () => {
    await child.stop()
  })

  it('says what it is, and when it is ready', async () => {
    expect(child.output()).toContain(`respond-async on ${framework}, waits ${WAIT_MS} ms for results`)
    expect(child.output()).toContain('durability: process')
    expect(child.output()).toContain('paste the lines above into a second terminal')
    const { status, json } = await client.get('/healthz')
    expect([status, json]).toEqual([200, { status: 'ready', durability: { class: 'process' } }])
  })

  it('creates a user who can be read at once, whose id is the operation', async () => {
    const username = fresh()
    const { status, headers, json } = await client.post({ username, age: 36, nickname: 'ignored' })
    expect([status, json]).toEqual([201, { id: expect.any(String), username, age: 36 }])
    expect(headers.get('location')).toBe(`/users/${json.id}`)
    expect((await client.get(`/users/${json.id}`)).json).toEqual(json)
    expect((await client.get(`/operations/${json.id}`)).headers.get('location')).toBe(`/operations/${json.id}/result`)
    expect((await client.get(`/operations/${json.id}/result`)).json).toEqual(json)
  })

  it('gives a username once, also to requests at the same moment', async () => {
    const user = { username: fresh(), simulate: { delayMs: 20 } }
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.post(user)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    const others = answers.filter(({ status }) => status !== 201)
    for (const { status, json } of others) {
      expect([status, json.code, json.retry]).toEqual([409, 'CreateUser::UserNotCreated', 'no'])
    }
  })

  it('simulates a duplicate', async () => {
    expect((await client.post({ username: fresh(), simulate: { outcome: 'duplicate' } })).status).toBe(409)
  })

  it('answers an outage with 503 and outcome failed, without Retry-After in the replay', async () => {
    const user = { username: fresh(), simulate: { outcome: 'outage' } }
    const [first, again] = [
      await client.post(user, { 'idempotency-key': user.username }),
      await client.post(user, { 'idempotency-key': user.username }),
    ]
    for (const { status, json } of [first, again]) {
      expect([status, json.outcome, json.retry]).toEqual([503, 'failed', 'new-key'])
    }
    expect(first?.headers.get('retry-after')).toMatch(/^[1-4]$/)
    expect([again?.headers.get('idempotent-replayed'), again?.headers.get('retry-after')]).toEqual(['true', null])
  })

  it('answers garbage with 502, and goes on', async () => {
    const { status, json } = await client.post({ username: fresh(), simulate: { outcome: 'garbage' } })
    expect([status, json.code]).toEqual([502, 'ERR_MALFORMED_RESULT'])
    expect((await client.post({ username: fresh() })).status).toBe(201)
  })

  it('lets the first of two contradicting answers stand everywhere', async () => {
    const { status, json } = await client.post({ username: fresh(), simulate: { outcome: 'twice' } })
    expect(status).toBe(201)
    await sleep(20)
    expect((await client.get(`/operations/${json.id}?follow=false`)).json).toMatchObject({
      status: 'succeeded',
      result: json,
    })
    expect((await client.get(`/operations/${json.id}/result`)).status).toBe(201)
    expect((await client.get(`/users/${json.id}`)).json).toEqual(json)
  })

  it('defers what is never answered, until it is canceled', async () => {
    const { status, json } = await client.post({ username: fresh(), simulate: { outcome: 'never' } })
    expect([status, json.status]).toEqual([202, 'running'])
    const path = `/operations/${json.id}`
    expect((await client.get(path)).status).toBe(202)
    expect((await client.get(`/users/${json.id}`)).status).toBe(404)
    expect((await client.send('DELETE', path)).json.status).toBe('canceled')
    expect((await client.get(`${path}/result`)).json.code).toBe('ERR_OPERATION_CANCELED')
  })

  it('stops the work of a canceled operation', async () => {
    const username = fresh()
    const { json } = await client.post({ username, simulate: { delayMs: 400 } }, { prefer: 'respond-async' })
    await client.send('DELETE', `/operations/${json.id}`)
    await sleep(450)
    expect((await client.get(`/users/${json.id}`)).status).toBe(404)
    expect((await client.post({ username })).status).toBe(201)
  })

  it('shows an operation to its principal alone', async () => {
    const [alice, bob] = [{ authorization: 'Bearer alice' }, { authorization: 'bearer bob' }]
    const { json } = await client.post({ username: fresh() }, { ...alice, prefer: 'respond-async' })
    for (const path of [`/operations/${json.id}`, `/operations/${json.id}/result`, `/operations/${json.id}/events`]) {
      expect([path, (await client.get(path, bob)).status]).toEqual([path, 404])
      expect([path, (await client.get(path)).status]).toEqual([path, 404])
    }
    expect((await client.send('DELETE', `/operations/${json.id}`, bob)).status).toBe(404)
    expect((await client.get(`/operations/${json.id}/result`, { ...alice, prefer: 'wait=5' })).status).toBe(201)
    expect((await client.post({ username: fresh() }, { authorization: 'Basic abc' })).status).toBe(401)
  })

  it('holds 1,000 delayed requests at once, and others are not held up', { timeout: 60_000 }, async () => {
    let over = 0
    const delayed = Array.from({ length: 1000 }, async () => {
      const { status } = await client.post({ username: fresh(), simulate: { delayMs: 1000 } }, { prefer: 'wait=25' })
      over += 1
      return status
    })
    await sleep(300)
    expect((await client.post({ username: fresh() }, { prefer: 'wait=5' })).status).toBe(201)
    expect(over).toBeLessThan(1000)
    expect(new Set(await Promise.all(delayed))).toEqual(new Set([201]))
  })

  const json = { 'content-type': 'application/json' }
  const user = () => JSON.stringify({ username: fresh() })
  const refused = [
    { what: 'malformed JSON', expected: [400, 'ERR_MALFORMED_BODY'], headers: { ...json, body: '{"username":' } },
    {
      what: 'another type',
      expected: [415, 'ERR_UNSUPPORTED_MEDIA_TYPE'],
      headers: { 'content-type': 'text/plain', body: 'x' },
    },
    { what: 'no type', expected: [415, 'ERR_UNSUPPORTED_MEDIA_TYPE'], headers: { 'content-type': '', body: user() } },
    {
      what: 'what is too long',
      expected: [413, 'ERR_BODY_TOO_LARGE'],
      headers: { ...json, body: `"${'x'.repeat(1_100_000)}"` },
    },
    { what: 'no object', expected: [422, 'ERR_INVALID_INPUT'], headers: { ...json, body: '[]' } },
    {
      what: 'an empty key',
      expected: [400, 'ERR_IDEMPOTENCY_KEY_INVALID'],
      headers: { ...json, 'idempotency-key': '', body: user() },
    },
    {
      what: 'an open key',
      expected: [400, 'ERR_IDEMPOTENCY_KEY_INVALID'],
      headers: { ...json, 'idempotency-key': '"a', body: user() },
    },
  ]

  it.each(refused)('refuses $what with $expected', async ({ expected, headers }) => {
    const answer = await client.send('POST', '/users', headers)
    expect([answer.status, answer.json.code]).toEqual(expected)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    if (answer.status === 415) expect(answer.headers.get('accept')).toBe('application/json')
  })

  it('points at everything that is not valid', async () => {
    const { status, json } = await client.post({ username: 1, age: 1.5, simulate: { outcome: 'x', delay: 1 } })
    const pointers = (json.errors as { pointer: string }[]).map(({ pointer }) => pointer)
    expect([status, pointers.sort()]).toEqual([422, ['#/age', '#/simulate', '#/simulate/outcome', '#/username']])
  })

  it.each([
    ['a wait without end', 'wait=999999999999'],
    ['a negative wait', 'wait=-1'],
    ['a wait in words', 'wait=abc'],
    ['15 KiB', 'a,'.repeat(7500)],
    ['an open quote', '"'],
    ['two words', 'respond async'],
  ])('takes any Prefer: %s', async (_, prefer) => {
    expect((await client.post({ username: fresh() }, { prefer })).status).toBe(201)
  })

  it('takes __proto__ for plain data', async () => {
    const username = fresh()
    const body = `{"username":"${username}","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}`
    const answer = await client.send('POST', '/users', { ...json, __proto__: 'x', body })
    expect([answer.status, answer.json]).toEqual([201, { id: expect.any(String), username }])
    expect((await client.post({ username: '__proto__' })).json.username).toBe('__proto__')
  })

  it('refuses another payload under the same key', async () => {
    const headers = { 'idempotency-key': `"${fresh()}"` }
    const first = await client.post({ username: fresh() }, headers)
    const second = await client.post({ username: fresh() }, headers)
    expect([first.status, second.status, second.json.code]).toEqual([201, 422, 'ERR_IDEMPOTENCY_MISMATCH'])
  })

  it.each([
    ['GET', '/users', 405],
    ['PUT', '/users', 405],
    ['OPTIONS', '/users', 204],
    ['GET', '/users/nobody', 404],
    ['GET', '/nowhere', 404],
    ['GET', '/operations', 404],
    ['GET', '/operations/nobody', 404],
    ['GET', '/operations/nobody/nothing/at/all', 404],
    ['POST', '/operations/nobody', 405],
  ])('%s %s is %d', async (method, path, status) => {
    const { status: answered, headers } = await client.send(method, path)
    expect(answered).toBe(status)
    if (status !== 204) expect(headers.get('content-type')).toMatch(/^application\/problem\+json/)
    if (status === 405 || status === 204) expect(headers.get('allow')).toMatch(/OPTIONS/)
  })
})

describe('the demo as a process', { concurrent: true, timeout: 60_000 }, () => {
  it.each(FRAMEWORKS)('%s: SIGTERM answers whoever waits, refuses others, and ends with 0', async (framework) => {
    const child = await startDemo({ FRAMEWORK: framework, GATEWAY_WAIT_MS: '5000' })
    const { post, get } = clientOf(child.origin)
    const waiting = ['ada', 'bob'].map((username) => post({ username, simulate: { delayMs: 800 } }))
    await post({ username: 'eve', simulate: { outcome: 'never' } }, { prefer: 'respond-async' })
    child.signal('SIGTERM')
    await child.prints(/SIGTERM: draining/)
    expect((await get('/healthz')).status).toBe(503)
    const { status, json, headers } = await post({ username: 'late' })
    expect([status, json.outcome, headers.get('connection')]).toEqual([503, 'not-accepted', 'close'])
    expect(headers.get('retry-after')).toMatch(/^\d+$/)
    // A second signal, as npm passes it on, means nothing.
    child.signal('SIGTERM')
    expect((await Promise.all(waiting)).map((answer) => answer.status)).toEqual([201, 201])
    expect(await child.ended).toBe(0)
  })

  it.each(FRAMEWORKS)('%s: --once finds all answers as documented', async (framework) => {
    const child = await startChild(MAIN, { env: { FRAMEWORK: framework, GATEWAY_WAIT_MS: '500' }, args: ['--once'] })
    expect([await child.ended, child.output()]).toEqual([
      0,
      expect.stringMatching(/All answers are as documented\.\n$/),
    ])
  })

  it('--once ends with 1 when an answer is not as documented', async () => {
    // The gateway waits no time at all, so that the synchronous requests get 202.
    const child = await startChild(MAIN, { env: { GATEWAY_WAIT_MS: '0' }, args: ['--once'] })
    expect(await child.ended).toBe(1)
    expect(child.output()).toContain('NOT AS DOCUMENTED: status 202, not 201')
  })

  it('says that its port is in use', async () => {
    const first = await startDemo({})
    const second = await startChild(MAIN, { env: { PORT: String(first.port) } })
    expect(await second.ended).toBe(2)
    expect(second.output()).toMatch(/^The port is in use .*Choose another one: PORT=3001 npm run demo\n$/)
    expect(await first.stop()).toBe(0)
  })

  it('names the variable of a store that cannot be reached, also without a broker', async () => {
    const env = { DATABASE_URL: 'postgres://postgres@127.0.0.1:1/none' }
    const child = await startChild(MAIN, { env, args: ['--store', 'postgres'] })
    expect(await child.ended).toBe(1)
    expect(child.output()).toMatch(/ECONNREFUSED.* See DATABASE_URL\.\n$/)
  })

  it.each([
    [{ FRAMEWORK: 'koa' }, 'FRAMEWORK is "koa"; allowed is express, fastify, fetch.'],
    [{ PORT: 'http' }, 'PORT is "http"; allowed is a whole number from 0 to 65535.'],
    [{ GATEWAY_WAIT_MS: '1.5' }, 'GATEWAY_WAIT_MS is "1.5"; allowed is a whole number from 0 to 240000.'],
  ])('refuses %o', async (env, message) => {
    const child = await startChild(MAIN, { env })
    expect([await child.ended, child.output()]).toEqual([2, `${message}\n`])
  })

  const hasCurl = spawnSync('bash', ['-c', 'command -v curl && command -v awk']).status === 0
  const title = 'prints lines that a shell runs as they are'

  it(hasCurl ? title : `${title} (skipped: this machine has no bash with curl and awk)`, async ({ skip }) => {
    if (!hasCurl) skip()
    const child = await startDemo({})
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', child.output()], { timeout: 25_000 })
    const statuses = (text: string) => [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))
    const shown = [200, 409, 201, 202, 201, 303, 200, 201, 422, 200, 409, 422, 503, 502, 201, 404]
    expect(statuses(stdout)).toEqual(shown)
    // Answers whose Location is kept in a variable, and those of the polling, are shown on the other stream.
    expect(statuses(stderr).filter((status) => status !== 202)).toEqual([201, 303, 201])
    expect(await child.stop()).toBe(0)
  })
})
