import { getEventListeners } from 'node:events'
import { Hono } from 'hono'
import { handle, operations, respond } from 'respond-async/fetch'
import { describe, expect, it, vi } from 'vitest'
import { post, startGateway } from './support.js'

const URL = 'https://api.example/users'

describe('fetch adapter', () => {
  it('answers a request without any server', async () => {
    const { createUser } = await startGateway()
    const answer = await handle(createUser)(new Request(URL, post('ann')))
    expect([answer.status, answer.headers.get('location'), await answer.json()]).toEqual([
      201,
      '/users/ann',
      { id: 'ann' },
    ])
  })

  it('answers from inside a handler, with given data', async () => {
    const { createUser } = await startGateway()
    expect(await (await respond(createUser, new Request(URL, post('x')), { username: 'ann' })).json()).toEqual({
      id: 'ann',
    })
  })

  it('takes a body that has been parsed before', async () => {
    const { createUser } = await startGateway()
    const request = new Request(URL, { ...post('ann'), headers: { ...post('').headers, 'content-length': '18' } })
    const body = await request.json()
    expect((await handle(createUser)(request, { body })).status).toBe(201)
  })

  it('says so when something has taken the body and left nothing', async () => {
    const { createUser } = await startGateway()
    const request = new Request(URL, { ...post('ann'), headers: { ...post('').headers, 'content-length': '18' } })
    await request.text()
    expect(await (await handle(createUser)(request)).json()).toMatchObject({ status: 500, code: 'ERR_CONFIG' })
  })

  it.each([
    ['of known length', { 'content-length': '2000' }],
    ['of unknown length', {}],
  ])('F14 refuses a body %s that is too long', async (_what, headers) => {
    const { createUser } = await startGateway({ bodyLimit: 100 })
    const answer = await handle(createUser)(new Request(URL, post('x'.repeat(2000), headers as Record<string, string>)))
    expect([answer.status, answer.headers.get('content-type')]).toEqual([413, 'application/problem+json'])
  })

  it('reads a body of several chunks', async () => {
    const { createUser } = await startGateway()
    const body = new ReadableStream({
      start(controller) {
        for (const part of ['{"user', 'name":', '"ann"}']) controller.enqueue(new TextEncoder().encode(part))
        controller.close()
      },
    })
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      duplex: 'half',
    } as RequestInit
    expect((await handle(createUser)(new Request(URL, init))).status).toBe(201)
  })

  it('FM-E13 publishes nothing of a body that breaks off', async () => {
    const { gateway, createUser } = await startGateway()
    const body = new ReadableStream({
      pull(controller) {
        controller.error(new Error('cut'))
      },
    })
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      duplex: 'half',
    } as RequestInit
    expect(await (await handle(createUser)(new Request(URL, init))).json()).toMatchObject({
      code: 'ERR_MALFORMED_BODY',
    })
    expect(gateway.counters.created).toBe(0)
  })

  it('forgets the request when it is answered', async () => {
    const { createUser } = await startGateway()
    const request = new Request(URL, post('ann'))
    const listen = vi.spyOn(request.signal, 'addEventListener')
    await handle(createUser)(request)
    expect([listen.mock.calls.length, getEventListeners(request.signal, 'abort')]).toEqual([1, []])
  })

  it('FM-E1 frees the wait of a client that leaves, also when it has left before', async () => {
    const { gateway, createUser } = await startGateway()
    const controller = new AbortController()
    const answer = handle(createUser)(new Request(URL, { ...post('nobody'), signal: controller.signal }))
    await vi.waitFor(() => expect(gateway.counters.pending).toBe(1))
    controller.abort()
    await vi.waitFor(() => expect(gateway.counters.pending).toBe(0))
    await answer
    const request = new Request(URL, { ...post('nobody'), signal: AbortSignal.abort() })
    await respond(createUser, request, { username: 'nobody' })
    expect(gateway.counters).toMatchObject({ pending: 0, gone: 2 })
  })

  it('FM-E18 frees a stream that its reader cancels', async () => {
    const { gateway, createUser } = await startGateway()
    const serve = operations(gateway)
    const accepted = await handle(createUser)(new Request(URL, post('nobody', { prefer: 'respond-async' })))
    const url = `https://api.example${accepted.headers.get('location')}/events`
    const answer = await serve(new Request(url))
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const reader = answer.body?.getReader()
    const text = async () => new TextDecoder().decode((await reader?.read())?.value)
    expect([await text(), await text()]).toEqual(['retry: 2000\n\n', expect.stringMatching(/^event: status\n/)])
    await vi.waitFor(() => expect(gateway.counters.pending).toBe(1))
    await reader?.cancel()
    expect(gateway.counters.pending).toBe(0)
  })

  it('ends a stream with the operation', async () => {
    const { gateway, createUser } = await startGateway()
    const serve = operations(gateway)
    const accepted = await handle(createUser)(new Request(URL, post('nobody', { prefer: 'respond-async' })))
    const { id } = (await accepted.json()) as { id: string }
    const answer = await serve(
      new Request(`https://api.example/operations/${id}`, { headers: { accept: 'text/event-stream' } }),
    )
    setTimeout(() => void gateway.operations.cancel(id), 5)
    expect(await answer.text()).toMatch(/"status":"canceled"/)
  })

  it('D13 answers every method, and at another path with ERR_CONFIG', async () => {
    const { gateway, errors } = await startGateway()
    const serve = operations(gateway)
    for (const [method, status] of [
      ['PROPFIND', 405],
      ['PUT', 405],
      ['OPTIONS', 204],
      ['HEAD', 404],
    ] as const) {
      const answer = await serve(new Request('https://api.example/operations/x', { method }))
      expect([method, answer.status]).toEqual([method, status])
    }
    expect((await serve(new Request('https://api.example/ops/x'))).status).toBe(500)
    expect(errors[0]?.message).toMatch(/\/ops\/x.*\/operations\b/)
  })

  it('F22 closes the connection while the gateway closes', async () => {
    const { gateway, createUser } = await startGateway()
    await gateway.close()
    const answer = await handle(createUser)(new Request(URL, post('ann')))
    expect([answer.status, answer.headers.get('connection')]).toEqual([503, 'close'])
  })

  it('looks for no body in a GET', async () => {
    const { createUser } = await startGateway({}, { methods: ['GET'], input: () => ({ username: 'ann' }) })
    const answer = await handle(createUser)(new Request(URL, { headers: { 'content-type': 'text/plain' } }))
    expect(answer.status).toBe(201)
  })

  it('gets the parameters of a Hono route', async () => {
    const { createUser } = await startGateway({}, { input: ({ params }) => ({ username: params['team'] ?? '' }) })
    const create = handle(createUser)
    const app = new Hono().post('/teams/:team/users', (context) =>
      create(context.req.raw, { params: context.req.param() }),
    )
    expect(await (await app.request('/teams/a%20b/users', post('ann'))).json()).toEqual({ id: 'a b' })
  })
})
