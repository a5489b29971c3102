import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { FollowError, follow, readProblem, resume } from '../../../src/client/index.js'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

async function listen(handler: Handler) {
  const requests: string[] = []
  const open = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`)
    open.add(response)
    response.on('close', () => open.delete(response))
    handler(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, open }
}

/** An answer whose body is JSON where it has one, and that may be followed at once. */
function reply(status: number, headers: Record<string, string> = {}, body?: unknown): Handler {
  return (_, response) => {
    response.writeHead(status, { 'retry-after': '0', 'content-type': 'application/json', ...headers })
    response.end(body === undefined ? undefined : JSON.stringify(body))
  }
}

/** Answers a POST with 202 and these headers, the first poll with `pending`, and what comes after with `then`. */
function operation(accepted: Record<string, string>, pending: Handler, then: Record<string, Handler>): Handler {
  let polls = 0
  return (request, response) => {
    if (request.method === 'POST') return reply(202, accepted)(request, response)
    if (request.url === '/operations/1' && polls++ === 0) return pending(request, response)
    const handler = then[request.url ?? ''] ?? reply(404)
    return handler(request, response)
  }
}

const document = (status: string, more: object = {}) => ({ id: '1', status, links: { self: '/operations/1' }, ...more })
const running: Handler = reply(202, { location: '/operations/1' }, document('running'))
const user: Handler = reply(201, { location: '/users/1' }, { id: 'u1' })
const location = { location: '/operations/1' }
const PATH = '/operations/1'

describe('follow over a socket', () => {
  it.each<[string, Handler]>([
    [
      '202 while running, then 303 to the replayed answer',
      operation(location, running, {
        [PATH]: reply(303, { location: `${PATH}/result` }),
        [`${PATH}/result`]: user,
      }),
    ],
    [
      'Location at the future resource and Link at the operation',
      operation({ location: '/users/1', link: `<${PATH}>; rel="status"` }, running, {
        [PATH]: reply(303, { location: '/users/1' }),
        '/users/1': user,
      }),
    ],
    [
      'status documents with 200 and Operation-Location',
      operation({ 'operation-location': PATH }, reply(200, {}, document('running')), {
        [PATH]: reply(200, {}, document('succeeded', { links: { result: '/users/1' } })),
        '/users/1': user,
      }),
    ],
    ['the answer itself at the status address', operation(location, running, { [PATH]: user })],
  ])('understands %s', async (_, handler) => {
    const { origin } = await listen(handler)
    const response = await follow(`${origin}/users`, { method: 'POST', body: '{}' })
    expect(response.status).toBe(201)
    expect(await response.json()).toEqual({ id: 'u1' })
  })

  it('gives a negative result as the answer it is', async () => {
    const taken = { type: 'urn:x:taken', title: 'taken', status: 409 }
    const { origin } = await listen(
      operation(location, running, {
        [PATH]: reply(409, { 'content-type': 'application/problem+json' }, taken),
      }),
    )
    const response = await follow(`${origin}/users`, { method: 'POST', body: '{}' })
    expect(response.status).toBe(409)
    expect(await readProblem(response)).toEqual(taken)
    expect(await response.json()).toEqual(taken)
  })

  it('is woken in a long poll as soon as the result is there', async () => {
    let held: ServerResponse | undefined
    const hold: Handler = (request, response) => {
      expect(request.headers.prefer).toBe('wait=20')
      held = response
      setImmediate(() => held && user(request, held))
    }
    const { origin, requests } = await listen(operation(location, hold, {}))
    const response = await follow(`${origin}/users`, { method: 'POST' })
    expect(response.status).toBe(201)
    expect(requests).toHaveLength(2)
  })

  it('keeps credentials from another origin, allowed or not', async () => {
    const other = await listen(user)
    const { origin } = await listen(reply(202, { location: `${other.origin}${PATH}` }))
    const headers = { authorization: 'Bearer ada' }
    const refused = follow(`${origin}/users`, { method: 'POST', headers })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_FOREIGN_ORIGIN', location: `${other.origin}${PATH}` })
    expect(other.requests).toEqual([])
    const response = await follow(`${origin}/users`, { method: 'POST', headers, allowOrigins: [other.origin] })
    expect(response.status).toBe(201)
    expect(other.requests).toEqual([`GET ${PATH} -`])
  })

  it('keeps credentials from where a poll is redirected to', async () => {
    const other = await listen(user)
    const { origin, requests } = await listen(
      operation(location, running, { [PATH]: reply(303, { location: other.origin }) }),
    )
    const call = follow(`${origin}/users`, { method: 'POST', headers: { authorization: 'Bearer ada' } })
    await expect(call).rejects.toBeInstanceOf(FollowError)
    expect(requests.at(-1)).toBe(`GET ${PATH} Bearer ada`)
    expect(other.requests).toEqual([])
  })

  it('ends a held poll and its connection when it is aborted', async () => {
    const controller = new AbortController()
    const hold: Handler = () => controller.abort(new Error('enough'))
    const { origin, open } = await listen(operation(location, hold, {}))
    const call = follow(`${origin}/users`, { method: 'POST', signal: controller.signal })
    await expect(call).rejects.toThrow('enough')
    await expect.poll(() => open.size, { interval: 5, timeout: 2000 }).toBe(0)
  })

  it('resumes from the location of a call that ran into its deadline', async () => {
    let isDone = false
    const { origin } = await listen((request, response) => (isDone ? user : running)(request, response))
    const saved: string[] = []
    const call = follow(`${origin}/users`, {
      method: 'POST',
      deadlineMs: 40,
      onAccepted: (accepted) => saved.push(accepted.location),
    })
    const error = await call.catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'ERR_DEADLINE', location: `${origin}${PATH}` })
    expect(saved).toEqual([`${origin}${PATH}`])
    isDone = true
    expect((await resume(saved[0] ?? '')).status).toBe(201)
  })

  it('sends the very same body and key again after a refusal', async () => {
    const bodies: string[] = []
    const keys = new Set<unknown>()
    const { origin } = await listen(async (request, response) => {
      keys.add(request.headers['idempotency-key'])
      bodies.push((await request.setEncoding('utf8').toArray()).join(''))
      const refusal = reply(503, { 'content-type': 'application/problem+json' }, { outcome: 'unknown' })
      const next = bodies.length === 1 ? refusal : user
      next(request, response)
    })
    const response = await follow(`${origin}/users`, { method: 'POST', body: '{"a":1}', idempotencyKey: true })
    expect(response.status).toBe(201)
    expect(bodies).toEqual(['{"a":1}', '{"a":1}'])
    expect(keys.size).toBe(1)
  })

  it('leaves no answer behind that waits to be read', async () => {
    const long = 'x'.repeat(8_000_000)
    const text = { 'content-type': 'text/plain' }
    const { origin, open } = await listen(
      operation(location, reply(503, text, long), {
        [PATH]: reply(303, { location: '/users/1', ...text }, long),
        '/users/1': user,
      }),
    )
    // Kept from the garbage collector, which would end them as well, some day.
    const answers: Response[] = []
    const keep = async (url: string, init: RequestInit) => {
      const answer = await fetch(url, init)
      answers.push(answer)
      return answer
    }
    await (await follow(`${origin}/users`, { method: 'POST', fetch: keep })).text()
    await expect.poll(() => open.size, { interval: 5, timeout: 2000 }).toBe(0)
    expect(answers).toHaveLength(4)
  })
})
