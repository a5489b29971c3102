import { type HttpReply, type HttpRequest, memoryStore, problem } from 'respond-async'
import { describe, expect, it } from 'vitest'
import type { Operation } from '../../../src/core/operation.js'
import { answerParserError, handleCommand } from '../../../src/http/handler.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { jsonOf, openService, requestOf, type Service } from './support.js'

const ASYNC = { headers: { prefer: 'respond-async' } }
const made = (_: unknown, service: Service) => service.answer('Made')

/** Lets the time pass that an answer takes. */
async function letPass<T>({ clock }: Service, ms: number, answer: Promise<T>): Promise<T> {
  await clock.advance(ms)
  return answer
}

describe('handleCommand: the answer', () => {
  it('B15 F01 is the result when it comes in time', async () => {
    const { post } = await openService({ worker: made })
    const reply = await post({ name: 'a' })
    expect(reply).toMatchObject({ status: 201, headers: { location: '/things/a', vary: 'Prefer' } })
    expect(reply.headers).not.toHaveProperty('preference-applied')
  })

  it('C02 C03 C04 C05 C06 C16 is a 202 with all its headers when the client wishes so', async () => {
    const { post, clock } = await openService()
    const reply = await post({}, { headers: { prefer: 'respond-async, wait=0' } })
    const { id, status, expiresAt } = jsonOf(reply)
    const url = `/operations/${String(id)}`
    expect(status).toBe('running')
    expect(expiresAt).toBe(new Date(clock.now() + 3_600_000).toISOString())
    expect(reply).toMatchObject({ status: 202 })
    expect(reply.headers).toEqual({
      'content-type': 'application/json',
      location: url,
      'content-location': url,
      link: `<${url}>; rel="status"`,
      'retry-after': '1',
      'cache-control': 'no-store',
      'preference-applied': 'respond-async, wait=0',
      vary: 'Prefer',
    })
  })

  it('is a 202 when the result is late, without a preference that nobody named', async () => {
    const service = await openService()
    const reply = await letPass(service, 5020, service.post({}))
    expect(reply.status).toBe(202)
    expect(reply.headers).not.toHaveProperty('preference-applied')
  })

  it('B03 respond-async with a wait is synchronous in time, and a 202 when the time is up', async () => {
    const prefer = { headers: { prefer: 'respond-async, wait=10' } }
    const service = await openService()
    const early = service.post({}, prefer)
    await service.clock.advance(3000)
    await service.answer('Made')
    expect(await early).toMatchObject({ status: 201, headers: { 'preference-applied': 'wait=10' } })
    const replies: HttpReply[] = []
    void service.post({}, prefer).then((reply) => replies.push(reply))
    await service.clock.advance(9980)
    expect(replies).toEqual([])
    await service.clock.advance(40)
    expect(replies).toMatchObject([{ status: 202, headers: { 'preference-applied': 'respond-async, wait=10' } }])
  })

  it('C17 a result that is there before the 202 is written is the answer', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const service = await openService({ clock, store })
    const get = store.get.bind(store)
    // The last look, which comes when the time is up and before the 202.
    store.get = async (id) => {
      await service.answer('Made')
      return get(id)
    }
    const reply = await letPass(service, 5020, service.post({}))
    expect(reply).toMatchObject({ status: 201, headers: { location: '/things/a' } })
    expect(service.gateway.counters).toMatchObject({ completed: 1, deferred: 0 })
  })

  it('B03 B14 waits as long as the client asks, but not longer than it may', async () => {
    const service = await openService({ options: { maxWaitMs: 2500 } })
    const reply = await letPass(service, 2520, service.post({}, { headers: { prefer: 'wait=3600, respond-async' } }))
    expect([reply.status, reply.headers['preference-applied']]).toEqual([202, 'respond-async, wait=2'])
  })

  it('B02 B13 names only what it has honoured', async () => {
    const { post } = await openService({ worker: made, command: { asyncGraceMs: 100 } })
    const reply = await post({}, { headers: { prefer: 'respond-async' } })
    expect([reply.status, reply.headers['preference-applied']]).toEqual([201, undefined])
    const waited = await post({}, { headers: { prefer: 'wait=7' } })
    expect(waited.headers['preference-applied']).toBe('wait=7')
  })

  it('B18 B20 return=minimal leaves out the body of a success, and of nothing else', async () => {
    const { post } = await openService({ worker: made })
    const minimal = { headers: { prefer: 'return=minimal' } }
    const reply = await post({}, minimal)
    expect(reply).toMatchObject({
      status: 201,
      headers: { location: '/things/a', 'preference-applied': 'return=minimal' },
    })
    expect(reply.body).toBeUndefined()
    expect(reply.headers).not.toHaveProperty('content-type')
    const found = await openService({ worker: (_, service) => service.answer('Found') })
    expect(await found.post({}, minimal)).toMatchObject({ status: 204 })
    const refused = await openService({ worker: (_, service) => service.answer('Make::ThingRefused') })
    const failure = await refused.post({}, minimal)
    expect([failure.status, failure.headers['preference-applied'], jsonOf(failure).status]).toEqual([
      409,
      undefined,
      409,
    ])
    const empty = await openService({ worker: (_, service) => service.answer('Deleted') })
    expect((await empty.post({}, minimal)).headers).not.toHaveProperty('preference-applied')
  })

  it('B19 return=representation is what it does anyway', async () => {
    const { post } = await openService({ worker: made })
    const reply = await post({}, { headers: { prefer: 'return=representation, wait=3' } })
    expect(reply.headers['preference-applied']).toBe('wait=3, return=representation')
    expect(jsonOf(reply)).toEqual({ id: 'a' })
  })

  it('F22 a request that is parked while the gateway closes is accepted, and its connection closed', async () => {
    const clock = createFakeClock()
    const { post, gateway } = await openService({ clock, store: memoryStore({ clock }) })
    const reply = post({})
    await clock.flush()
    await gateway.close()
    expect(await reply).toMatchObject({ status: 202, closeConnection: true })
    expect(await post({})).toMatchObject({ status: 503, closeConnection: true })
  })

  it('F22 FM-P2 where nothing outlives the gateway, the parked request hears that nobody knows', async () => {
    const { post, gateway, clock } = await openService()
    const reply = post({})
    await clock.flush()
    await gateway.close({ drainMs: 0 })
    const { status, closeConnection, headers } = await reply
    expect([status, closeConnection]).toEqual([503, true])
    expect(headers['retry-after']).toMatch(/^[1-4]$/)
    expect(jsonOf(await reply)).toMatchObject({ code: 'ERR_CLOSED', outcome: 'unknown', retry: 'same-key' })
  })
})

describe('handleCommand: where no 202 can be sent', () => {
  it('F22 a wait that runs out while the gateway drains is no promise either, unless the store is given', async () => {
    const clock = createFakeClock()
    for (const [store, status] of [
      [undefined, 503],
      [memoryStore({ clock }), 202],
    ] as const) {
      const { post, gateway } = await openService({ clock, ...(store && { store }), options: { waitMs: 1000 } })
      const reply = post({})
      await clock.flush()
      const closing = gateway.close()
      await clock.advance(1020)
      expect((await reply).status).toBe(status)
      if (status === 503) expect(jsonOf(await reply)).toMatchObject({ code: 'ERR_CLOSED', outcome: 'unknown' })
      await closing
    }
  })

  it.each([
    ['no store', { store: 'none' }, { retry: 'no', outcome: 'unknown' }],
    ['no operations', { isMounted: false }, { retry: 'same-key', outcome: 'unknown' }],
    [
      'onTimeout: gateway-timeout',
      { command: { onTimeout: 'gateway-timeout' } },
      { retry: 'same-key', instance: expect.any(String) },
    ],
  ] as const)('F10 F11 FM-E14 with %s a late result is a 504', async (_, init, members) => {
    const service = await openService(init)
    const reply = await letPass(service, 5020, service.post({}))
    expect(reply.status).toBe(504)
    expect(jsonOf(reply)).toMatchObject({ code: 'ERR_RESULT_TIMEOUT', ...members })
    expect('link' in reply.headers).toBe('instance' in members)
  })

  it('FM-E14 respond-async is ignored there', async () => {
    const { post, clock } = await openService({ isMounted: false })
    let isAnswered = false
    const reply = post({}, ASYNC).then((answer) => {
      isAnswered = true
      return answer
    })
    await clock.advance(4900)
    expect(isAnswered).toBe(false)
    await clock.advance(120)
    expect((await reply).status).toBe(504)
  })

  it('B05 wait=0 is a 504 at once', async () => {
    const { post } = await openService({ isMounted: false })
    expect((await post({}, { headers: { prefer: 'wait=0' } })).status).toBe(504)
  })

  it('onTimeout does not stand against the wish of the client', async () => {
    const { post } = await openService({ command: { onTimeout: 'gateway-timeout' } })
    expect((await post({}, ASYNC)).status).toBe(202)
  })

  it('FM-B3 an unconfirmed publish is a 503 of unknown outcome', async () => {
    const { post } = await openService({
      ...{ isMounted: false, transportFaults: (call) => (call === 'publish' ? 'fail-after' : 'ok') },
    })
    const reply = await post({})
    expect(reply.status).toBe(503)
    expect(jsonOf(reply)).toMatchObject({ code: 'ERR_PUBLISH_UNCONFIRMED', outcome: 'unknown', retry: 'same-key' })
  })
})

describe('handleCommand: the request', () => {
  it('C19 D13 OPTIONS and HEAD publish nothing, and other methods neither', async () => {
    const { post, requests, clock } = await openService()
    const options = await post(undefined, { method: 'OPTIONS' })
    expect(options).toMatchObject({
      status: 204,
      headers: { allow: 'POST, PUT, PATCH, DELETE, OPTIONS', vary: 'Prefer' },
    })
    for (const method of ['HEAD', 'GET', 'BREW']) {
      const reply = await post(undefined, { method })
      expect([reply.status, reply.headers.allow]).toEqual([405, 'POST, PUT, PATCH, DELETE, OPTIONS'])
    }
    await clock.flush()
    expect(requests).toEqual([])
  })

  it('B28 a command may be asked by GET, where it says so, and then no key counts', async () => {
    const { post, clock, requests } = await openService({ command: { methods: ['GET'], idempotencyKey: 'required' } })
    expect((await post(undefined, { method: 'GET', ...ASYNC })).status).toBe(202)
    await clock.flush()
    expect(requests).toHaveLength(1)
    expect((await post({})).status).toBe(405)
  })

  it('D17 with produces a request that accepts nothing of it is a 406', async () => {
    const { post } = await openService({ worker: made, command: { produces: ['application/json', 'text/csv'] } })
    const reply = await post({}, { headers: { accept: 'image/png' } })
    expect([reply.status, jsonOf(reply).detail]).toEqual([406, 'Available are: application/json, text/csv.'])
    expect((await post({}, { headers: { accept: 'text/*' } })).status).toBe(201)
  })

  it('maps the request to the data and the headers of the event', async () => {
    const { post, requests, clock } = await openService({
      options: { principal: () => 'ada' },
      command: {
        input: (request: {
          params: object
          query: object
          principal: string
          body: object
          preferences: { handling: string }
        }) => ({
          ...{ ...request.params, ...request.query, ...request.body },
          ...{ principal: request.principal, handling: request.preferences.handling },
        }),
        headers: ({ url }: HttpRequest) => ({ 'x-url': url, 'if-match': 'mine' }),
      },
    })
    const headers = {
      'if-match': '"1"',
      'if-none-match': '*',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 's=1',
      prefer: 'handling=strict',
    }
    void post({ b: 3 }, { url: '/things?q=1', params: { id: '7' }, headers })
    await clock.flush()
    const [request] = requests
    expect(JSON.parse(Buffer.from(request?.body ?? []).toString())).toEqual({
      id: '7',
      q: '1',
      b: 3,
      principal: 'ada',
      handling: 'strict',
    })
    expect({ ...request?.headers }).toEqual({ 'if-match': 'mine', 'if-none-match': '*', 'x-url': '/things?q=1' })
    expect(request).toMatchObject({
      traceparent: expect.stringMatching(/^00-0af7651916cd43dd8448eb211c80319c-/),
      tracestate: 's=1',
    })
  })

  it('E09 forwards preconditions, and a trace only with its parent', async () => {
    const { post, requests, clock } = await openService()
    void post({}, { headers: { 'if-match': '"1"', tracestate: 's' } })
    void post({}, { headers: { 'if-none-match': '*' } })
    void post({}, {})
    await clock.flush()
    expect(requests.map(({ headers }) => ({ ...headers }))).toEqual([
      { 'if-match': '"1"' },
      { 'if-none-match': '*' },
      {},
    ])
    expect(requests[0]?.tracestate).toBeUndefined()
  })

  it('a command may have only headers, and takes the body then', async () => {
    const { post, requests, clock } = await openService({ command: { headers: () => ({ a: 'b' }) } })
    void post({ n: 1 })
    await clock.flush()
    expect(Buffer.from(requests[0]?.body ?? []).toString()).toBe('{"n":1}')
    expect({ ...requests[0]?.headers }).toEqual({ a: 'b' })
  })

  it.each([
    ['of the application', new Error('secret'), 500],
    ['with a status', Object.assign(new Error('secret'), { status: 401 }), 401],
  ])(
    'an error of a hook, %s, is answered and, where only the application can mend it, reported',
    async (_, cause, status) => {
      for (const hook of ['input', 'headers', 'principal'] as const) {
        const failing = () => {
          throw cause
        }
        const init = hook === 'principal' ? { options: { principal: failing } } : { command: { [hook]: failing } }
        const { post, errors, requests } = await openService(init)
        const reply = await post({})
        expect([reply.status, jsonOf(reply).detail]).toEqual([status, `The request was refused by ${hook}.`])
        expect(errors).toMatchObject(status === 500 ? [{ code: 'ERR_HOOK', cause }] : [])
        expect(requests).toEqual([])
      }
    },
  )

  it('H06 H04 a key that is required and missing, or no key at all, is a 400', async () => {
    const { post, requests } = await openService({ command: { idempotencyKey: 'required' } })
    const missing = await post({})
    expect([missing.status, jsonOf(missing).code]).toEqual([400, 'ERR_IDEMPOTENCY_KEY_MISSING'])
    const invalid = await post({}, { headers: { 'idempotency-key': '""' } })
    expect([invalid.status, jsonOf(invalid).code]).toEqual([400, 'ERR_IDEMPOTENCY_KEY_INVALID'])
    expect(requests).toEqual([])
  })

  it('H16 a replay is marked as such', async () => {
    const { post, requests } = await openService({ worker: made })
    const keyed = { headers: { 'idempotency-key': '"k"' } }
    const first = await post({ n: 1 }, keyed)
    const second = await post({ n: 1 }, keyed)
    expect(first.headers).not.toHaveProperty('idempotent-replayed')
    expect(second).toMatchObject({ ...first, headers: { ...first.headers, 'idempotent-replayed': 'true' } })
    expect((await post({ n: 2 }, keyed)).status).toBe(422)
    expect(requests).toHaveLength(1)
  })

  it('FM-E1 a client that leaves is no error', async () => {
    const service = await openService()
    let leave: (reason?: unknown) => void = () => {}
    const reply = service.post(
      {},
      {
        onGone: (listener) => {
          leave = listener
          return () => {}
        },
      },
    )
    await service.clock.flush()
    leave()
    expect((await reply).status).toBe(500)
    expect(service.errors).toEqual([])
    expect(service.gateway.counters).toMatchObject({ gone: 1, pending: 0, open: 1 })
  })
})

describe('handleCommand: accepted.location', () => {
  const accepting = (location: (operation: Operation) => string) => ({ command: { accepted: { location } } })

  it('F19 may point to the resource to be, in the characters of a URI', async () => {
    const { post } = await openService(accepting(({ id }) => `/thïngs/${id}`))
    const { status, headers } = await post({}, ASYNC)
    const id = String(headers['content-location']).slice('/operations/'.length)
    expect([status, headers.location]).toEqual([202, `/th%C3%AFngs/${id}`])
    expect(headers.link).toBe(`</operations/${id}>; rel="status"`)
  })

  it('is left alone with accepted: {}', async () => {
    const { post } = await openService({ command: { accepted: {} } })
    const { headers } = await post({}, ASYNC)
    expect(headers.location).toBe(headers['content-location'])
  })

  it.each<[string, () => string]>([
    [
      'throws',
      () => {
        throw new Error('boom')
      },
    ],
    ['leads off this site', () => 'https://evil.example/'],
  ])('a 202 is not lost because it %s: that is reported', async (_, location) => {
    const { post, errors } = await openService(accepting(location))
    const { status, headers } = await post({}, ASYNC)
    expect(status).toBe(202)
    expect(headers.location).toBe(headers['content-location'])
    expect(errors).toHaveLength(1)
  })
})

describe('handleCommand with given data', () => {
  it('takes these, whatever method and body there are', async () => {
    const { command, requests, clock } = await openService({
      command: { input: () => 'unused', produces: ['application/json'] },
    })
    void handleCommand(
      command,
      requestOf({ method: 'GET', headers: { 'content-type': 'text/plain', 'content-length': '9' } }),
      { data: { given: 1 } },
    )
    await clock.flush()
    expect(Buffer.from(requests[0]?.body ?? []).toString()).toBe('{"given":1}')
  })

  it('FM-E3 the same key with other data is refused there too', async () => {
    const { command } = await openService({ worker: made, command: { outcomes: { Made: problem(409) } } })
    const keyed = requestOf({ headers: { 'idempotency-key': 'k' } })
    expect((await handleCommand(command, keyed, { data: 1 })).status).toBe(409)
    expect((await handleCommand(command, keyed, { data: 2 })).status).toBe(422)
  })
})

describe('answerParserError', () => {
  it('G01 is a problem for what a parser refuses, and nothing for other errors', async () => {
    const { gateway } = await openService()
    const reply = answerParserError(gateway, { type: 'entity.parse.failed', status: 400 })
    expect(reply).toMatchObject({
      status: 400,
      headers: { 'content-type': 'application/problem+json', vary: 'Prefer' },
    })
    expect(answerParserError(gateway, new Error('x'))).toBeUndefined()
  })
})
