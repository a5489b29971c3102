import { describe, expect, it, vi } from 'vitest'
import { type FollowError, type FollowOptions, follow } from '../../../src/client/index.js'
import {
  accepted,
  created,
  finish,
  json,
  OPERATION,
  ORIGIN,
  opaqueRedirect,
  pick,
  post,
  problem,
  redirect,
  redirectedTo,
  scriptedFetch,
  useVirtualTime,
} from './scripted-fetch.js'

useVirtualTime()

describe('follow', () => {
  it('gives back an answer that is no 202 as it is', async () => {
    const answer = created()
    const { response, calls } = await post([answer])
    expect(response).toBe(answer)
    expect(calls).toHaveLength(1)
  })

  it('follows a 202 by polls to the answer behind a 303', async () => {
    const { response, calls } = await post([accepted(), accepted(), redirect('/operations/01J/result'), created()])
    expect(await response?.json()).toEqual({ id: '1' })
    expect(calls.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `POST ${ORIGIN}/users`,
      `GET ${OPERATION}`,
      `GET ${OPERATION}`,
      `GET ${OPERATION}/result`,
    ])
  })

  it.each([400, 404, 409, 410, 500, 502, 503, 504])('gives a %i of the operation as an answer', async (status) => {
    const replay = problem(status, status === 503 ? { outcome: 'failed' } : {})
    const { response } = await post([accepted(), redirect('/operations/01J/result'), replay])
    expect(response).toBe(replay)
  })

  it('waits until the location was saved before it polls', async () => {
    const saved: unknown[] = []
    const onAccepted: FollowOptions['onAccepted'] = async ({ location, operation }) => {
      await new Promise((done) => setTimeout(done, 700))
      saved.push(location, operation?.id)
    }
    const { at } = await post([accepted(), created()], { onAccepted })
    expect(saved).toEqual([OPERATION, '01J'])
    expect(at).toEqual([0, 720])
  })

  it('does not mistake the Location of another answer for a redirect', async () => {
    const taken = problem(409, {}, { location: '/users/1' })
    expect((await pick([taken])).response).toBe(taken)
    expect((await pick([created()])).calls).toHaveLength(1)
  })

  it('resolves addresses against the address that answered', async () => {
    const answer = redirectedTo(`${ORIGIN}/v2/users`, accepted({ location: 'operations/7' }))
    const moved = redirectedTo(`${ORIGIN}/v3/operations/7`, redirect('7/result'))
    const { polls } = await post([answer, moved, created()])
    expect(polls.map(({ url }) => url)).toEqual([`${ORIGIN}/v2/operations/7`, `${ORIGIN}/v3/operations/7/result`])
  })

  it('reports each status document that a poll brings', async () => {
    const onStatus = vi.fn<NonNullable<FollowOptions['onStatus']>>(() => new Promise((done) => setTimeout(done, 100)))
    const done = json(200, { id: '01J', status: 'failed', error: { status: 409 } })
    const steps = [accepted(), accepted({}, { progress: 1 }), accepted({}, { progress: 2 }), done]
    const { at } = await post(steps, { onStatus })
    expect(at).toEqual([0, 20, 140, 260])
    expect(onStatus.mock.calls.map(([{ status, progress }]) => [status, progress])).toEqual([
      ['running', 1],
      ['running', 2],
      ['failed', undefined],
    ])
  })

  it('rejects with what a callback throws', async () => {
    const reason = new Error('disk full')
    const onAccepted = () => {
      throw reason
    }
    expect((await post([accepted()], { onAccepted })).error).toBe(reason)
  })

  it('says that a 202 does not name its operation', async () => {
    const { error } = await post([new Response(null, { status: 202 })])
    expect(error).toMatchObject({ name: 'FollowError', code: 'ERR_NO_LOCATION', location: undefined })
  })

  it('gives up on redirects that never end', async () => {
    const { error, calls } = await pick(Array.from({ length: 30 }, () => redirect('/a', 302)))
    expect(error).toMatchObject({ code: 'ERR_TOO_MANY_REDIRECTS' })
    expect(calls).toHaveLength(21)
  })

  it('counts redirects from one pause to the next', async () => {
    const rounds = Array.from({ length: 30 }, () => [redirect('/a', 307), accepted()]).flat()
    expect((await pick([...rounds, created()])).response?.status).toBe(201)
  })

  it('takes an address relative to the page of a browser', async () => {
    vi.stubGlobal('location', { href: `${ORIGIN}/app/` })
    try {
      const { calls } = await finish((fetch) => follow('../users', { fetch }), [created()])
      expect(calls[0]?.url).toBe(`${ORIGIN}/users`)
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it('calls the global fetch as a function of its own, which browsers insist on', async () => {
    const { fetch, calls } = scriptedFetch(created())
    vi.stubGlobal('fetch', function (this: unknown, url: string, init: RequestInit) {
      expect(this).toBeUndefined()
      return fetch(url, init)
    })
    await follow(`${ORIGIN}/users`).finally(() => vi.unstubAllGlobals())
    expect(calls).toHaveLength(1)
  })
})

describe('status documents with 200', () => {
  const document = (status: string, links = {}) => json(200, { id: '01J', status, links }, { 'retry-after': '1' })

  it('polls a running one on and follows a finished one to its result', async () => {
    const result = created()
    const { response, polls } = await pick([
      document('running'),
      document('succeeded', { result: '/operations/01J/result' }),
      result,
    ])
    expect(response).toBe(result)
    expect(polls.map(({ url }) => url)).toEqual([OPERATION, `${OPERATION}/result`])
  })

  it('gives a finished one that names no result, still readable', async () => {
    const { response } = await pick([document('succeeded')])
    expect(await response?.json()).toMatchObject({ status: 'succeeded' })
  })

  it('is not looked for in a result, which may have the same members', async () => {
    const machine = document('running', { result: '/elsewhere' })
    expect((await pick([redirect('/machines/1'), machine])).response).toBe(machine)
    const machine2 = redirectedTo(`${ORIGIN}/machines/1`, document('running', { result: '/elsewhere' }))
    expect((await pick([opaqueRedirect(), machine2])).response).toBe(machine2)
  })

  it('is still looked for where the operation has moved to', async () => {
    const steps = [redirect('/v2/operations/01J', 307), document('running'), created()]
    const { calls, response } = await pick(steps)
    expect(response?.status).toBe(201)
    expect(calls[2]?.url).toBe(`${ORIGIN}/v2/operations/01J`)
  })
})

describe('headers', () => {
  it('asks for the preferences of the options beside those of the caller', async () => {
    const headers = { prefer: 'return=minimal' }
    const { first } = await post([created()], { headers, prefer: 'respond-async', waitSeconds: 5 })
    expect(first?.headers.get('prefer')).toBe('return=minimal, respond-async, wait=5')
    expect((await post([created()])).first?.headers.has('prefer')).toBe(false)
    expect((await post([created()], { waitSeconds: 0 })).first?.headers.get('prefer')).toBe('wait=0')
  })

  it('long-polls for 20 s, for what is asked, or not at all', async () => {
    const prefer = async (options?: FollowOptions) => (await pick([created()], options)).calls[0]?.headers.get('prefer')
    expect(await prefer()).toBe('wait=20')
    expect(await prefer({ longPollSeconds: 7 })).toBe('wait=7')
    expect(await prefer({ longPollSeconds: 0 })).toBeNull()
  })

  it('repeats on polls what identifies the caller and not what belonged to the request', async () => {
    const headers = {
      authorization: 'Bearer ada',
      'x-tenant': 't1',
      'content-type': 'application/json',
      'if-match': '"1"',
      prefer: 'handling=strict',
    }
    const options: FollowOptions = { headers, idempotencyKey: 'k', credentials: 'include', keepalive: true }
    const { polls } = await post([accepted(), created()], options)
    expect(Object.fromEntries(polls[0]?.headers ?? [])).toEqual({
      authorization: 'Bearer ada',
      'x-tenant': 't1',
      prefer: 'wait=20',
    })
    expect(polls[0]?.init).toMatchObject({ method: 'GET', body: null, credentials: 'include', keepalive: true })
  })

  it('accepts a status document besides what the caller accepts', async () => {
    const { first, polls } = await post([accepted(), created()], { headers: { accept: 'application/pdf' } })
    expect(first?.headers.get('accept')).toBe('application/pdf')
    expect(polls[0]?.headers.get('accept')).toBe('application/pdf, application/json;q=0.1')
  })

  it('H21 makes a random UUID as key, new for each call, and sends it as a quoted string', async () => {
    const key = async () => (await post([created()], { idempotencyKey: true })).first?.headers.get('idempotency-key')
    const keys = [await key(), await key()]
    for (const each of keys) expect(each).toMatch(/^"[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}"$/)
    expect(new Set(keys).size).toBe(2)
  })

  it('escapes a key and refuses one that no string of RFC 9651 can carry', async () => {
    const { first } = await post([created()], { idempotencyKey: 'a"b\\c' })
    expect(first?.headers.get('idempotency-key')).toBe('"a\\"b\\\\c"')
    for (const idempotencyKey of ['', 'é', 'a\nb', 'x'.repeat(256)]) {
      expect((await post([], { idempotencyKey })).error).toMatchObject({ code: 'ERR_CONFIG' })
    }
  })
})

describe('other origins', () => {
  const FOREIGN = 'https://evil.example/operations/01J'
  const refused = { code: 'ERR_FOREIGN_ORIGIN', location: FOREIGN }

  it.each([
    ['a status address', [accepted({ location: FOREIGN })]],
    ['a redirect of a poll', [accepted(), redirect(FOREIGN)]],
    ['the result of a document', [accepted(), json(200, { id: '1', status: 'failed', links: { result: FOREIGN } })]],
    ['a redirect that the browser followed', [accepted(), opaqueRedirect(), redirectedTo(FOREIGN, created())]],
  ])('refuses %s on another origin', async (_, steps) => {
    const { error, calls } = await post(steps)
    expect(error).toMatchObject(refused)
    expect((error as FollowError).message).toContain('https://evil.example')
    expect(calls).toHaveLength(steps.length)
  })

  it.each(['http://api.example/o/1', 'https://api.example:8443/o/1', 'data:application/json,{}', '//evil.example/o/1'])(
    'counts %s as another origin',
    async (location) => {
      expect((await post([accepted({ location })])).error).toMatchObject({ code: 'ERR_FOREIGN_ORIGIN' })
    },
  )

  it('sends nothing of the caller to an origin that is allowed', async () => {
    const { polls } = await post([accepted({ location: FOREIGN }), redirect(OPERATION), created()], {
      headers: { authorization: 'Bearer ada', 'x-api-key': 'secret' },
      credentials: 'include',
      allowOrigins: ['https://evil.example'],
    })
    expect(Object.fromEntries(polls[0]?.headers ?? [])).toEqual({ prefer: 'wait=20' })
    expect(polls[0]?.init.credentials).toBe('omit')
    expect(polls[1]?.headers.get('authorization')).toBe('Bearer ada')
  })

  it('lets only a browser follow a redirect by itself', async () => {
    const { response, calls } = await pick([opaqueRedirect(), redirectedTo(`${OPERATION}/result`, created())])
    expect(response?.status).toBe(201)
    expect(calls.map(({ init }) => init.redirect)).toEqual(['manual', 'follow'])
  })
})
