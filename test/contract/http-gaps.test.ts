import {
  created,
  createGateway,
  type EventMessage,
  type GatewayOptions,
  memoryStore,
  memoryTransport,
  problem,
} from 'respond-async'
import { handle, operations } from 'respond-async/fetch'
import { createFakeClock, faultyTransport } from 'respond-async/testing'
import { createWorker } from 'respond-async/worker'
import { describe, expect, it } from 'vitest'

type Data = { readonly name?: string; readonly never?: boolean }

/** A gateway with a worker, asked without sockets. What the worker gets is in `seen`. */
async function serve(options: Partial<GatewayOptions & { readonly events?: undefined }> = {}) {
  const clock = createFakeClock()
  const broker = memoryTransport({ clock })
  const gateway = createGateway({ transport: broker, store: memoryStore({ clock }), clock, ...options })
  const command = gateway.command({
    publish: 'Make::Requested',
    outcomes: { 'Make::Made': created((_event, { id }) => `/things/${id}`), 'Make::Refused': problem(409) },
  })
  const seen: string[] = []
  const worker = createWorker({ transport: broker, clock }).handle('Make::Requested', ({ id, data }) => {
    seen.push(id)
    const { name, never } = data as Data
    if (never) return undefined
    return name === 'taken' ? { type: 'Make::Refused', data: { name } } : { type: 'Make::Made', data: { name } }
  })
  await worker.start()
  await gateway.start()
  const routes = { things: handle(command), operations: operations(gateway) }
  const ask = (path: string, init: RequestInit = {}) => {
    const route = path.startsWith('/operations') ? routes.operations : routes.things
    return route(new Request(`http://localhost${path}`, init))
  }
  const post = (data: unknown, headers: Record<string, string> = {}) => {
    const body = typeof data === 'string' ? data : JSON.stringify(data)
    return ask('/things', { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  }
  return { ask, post, clock, seen, close: () => gateway.close({ drainMs: 0 }).then(() => worker.close()) }
}

const ASYNC = { prefer: 'respond-async' }

describe('what the adapter contract does not reach', () => {
  it('A32 no preference chooses a media type', async () => {
    const { post, close } = await serve()
    for (const prefer of ['return=representation; type="text/xml"', 'text/xml', 'accept="text/xml"']) {
      const answer = await post({ name: 'a' }, { prefer })
      expect(answer.status).toBe(201)
      expect(answer.headers.get('content-type')).toBe('application/json')
    }
    await close()
  })

  it('E16 what Prefer may have changed is not stored, or revalidated, or has nothing that would make it fresh', async () => {
    const { ask, post, close } = await serve()
    const accepted = await post({ name: 'a', never: true }, ASYNC)
    const location = accepted.headers.get('location') ?? ''
    const answers = [
      accepted,
      await post({ name: 'a' }),
      await post({ name: 'taken' }),
      await post('{'),
      await ask(location),
      await ask(`${location}?follow=false`),
      await ask(`${location}/result`),
      await ask('/operations/unknown'),
    ]
    for (const { headers, status } of answers) {
      expect(headers.get('vary')).toMatch(/^Prefer\b/)
      // A 201 to a POST is stored by no cache without explicit freshness (RFC 9111 section 3).
      const allowed = status === 201 ? [null] : ['no-store', 'private, no-cache']
      expect(allowed).toContain(headers.get('cache-control'))
      expect(headers.get('expires')).toBeNull()
    }
    await close()
  })

  it('F16 a request event that is published again has the id that workers can tell it by', async () => {
    const clock = createFakeClock()
    const published: EventMessage[] = []
    const transport = faultyTransport(memoryTransport({ clock }), (call, [message]) => {
      if (call !== 'publish') return 'ok'
      published.push(message as EventMessage)
      return published.length === 1 ? 'fail-after' : 'ok'
    })
    const worker = createWorker({ transport, clock }).handle('Make::Requested', () => undefined)
    const gateway = createGateway({ transport, store: memoryStore({ clock }), clock, relayAfterMs: 5000 })
    gateway.on('error', () => {})
    const command = gateway.command({ publish: 'Make::Requested', outcomes: { 'Make::Made': created() } })
    const make = handle(command)
    operations(gateway)
    await worker.start()
    await gateway.start()
    const headers = { 'content-type': 'application/json' }
    const answer = await make(new Request('http://localhost/things', { method: 'POST', headers, body: '{}' }))
    expect(answer.status).toBe(202)
    await clock.advance(10_000)
    expect(published).toHaveLength(2)
    expect(published[1]).toEqual(published[0])
    expect(answer.headers.get('location')).toBe(`/operations/${published[0]?.id}`)
    await gateway.close({ drainMs: 0 })
    await worker.close()
  })

  it('G15 problems have the members and types of the schema in RFC 9457', async () => {
    const { ask, post, close } = await serve()
    const answers = [
      await post('{'),
      await post({ name: 'taken' }),
      await post({ name: 'a' }, { 'content-type': 'text/plain' }),
      await ask('/things', { method: 'PUT', headers: { 'idempotency-key': '""' } }),
      await ask('/things'),
      await ask('/operations/unknown'),
      await ask('/operations'),
    ]
    for (const answer of answers) {
      const problem = (await answer.json()) as Record<string, unknown>
      expect(problem).toMatchObject({ type: expect.any(String), title: expect.any(String), status: answer.status })
      expect(URL.canParse(String(problem['type']))).toBe(true)
      expect(['string', 'undefined']).toContain(typeof problem['detail'])
      const { instance = '/' } = problem
      expect(URL.canParse(String(instance), 'http://localhost')).toBe(true)
    }
    await close()
  })

  it('H05 a key lives as long as its operation, and is then free again', async () => {
    const { post, clock, close } = await serve({ retentionMs: 60_000 })
    const key = { 'idempotency-key': '"one"' }
    const first = await post({ name: 'a' }, key)
    await clock.advance(59_000)
    const again = await post({ name: 'a' }, key)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.headers.get('location')).toBe(first.headers.get('location'))
    await clock.advance(2000)
    const later = await post({ name: 'a' }, key)
    expect(later.status).toBe(201)
    expect(later.headers.get('idempotent-replayed')).toBeNull()
    expect(later.headers.get('location')).not.toBe(first.headers.get('location'))
    await close()
  })

  it('H17 the worker sees one id for one key, which is the id of the operation', async () => {
    const { post, seen, close } = await serve()
    const key = { 'idempotency-key': '"one"' }
    const answers = await Promise.all([post({ name: 'a' }, key), post({ name: 'a' }, key), post({ name: 'a' }, key)])
    expect(answers.map(({ headers }) => headers.get('location'))).toEqual(answers.map(() => `/things/${seen[0]}`))
    expect(seen).toHaveLength(1)
    await close()
  })

  it('L11 an event stream can tell its principal by a cookie, as EventSource sends nothing else', async () => {
    const { ask, post, close } = await serve({
      principal: ({ headers }) => /(?:^|; )user=(\w+)/.exec(String(headers['cookie']))?.[1],
    })
    const cookie = 'theme=dark; user=ada'
    const location = (await post({ name: 'a' }, { ...ASYNC, cookie })).headers.get('location')
    const accept = 'text/event-stream'
    const own = await ask(`${location}`, { headers: { cookie, accept } })
    expect(own.status).toBe(200)
    expect(own.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    await own.body?.cancel()
    expect((await ask(`${location}`, { headers: { cookie: 'user=eve', accept } })).status).toBe(404)
    expect((await ask(`${location}`, { headers: { accept } })).status).toBe(404)
    await close()
  })
})
