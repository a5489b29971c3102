import { connect } from 'node:http2'
import { createRequire } from 'node:module'
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { handle, operations, problems, respond } from 'respond-async/fastify'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { post, startGateway } from './support.js'

type Framework = (options?: FastifyServerOptions) => FastifyInstance

const latest: Framework = (options) => fastify(options)
const fastify50 = createRequire(import.meta.url)('fastify50') as Framework

const user = (username: string, headers: Record<string, string> = {}) =>
  ({ method: 'POST', url: '/users', headers, payload: { username } }) as const

describe.each([
  ['fastify latest', latest],
  ['fastify 5.0', fastify50],
])('%s adapter', (_name, framework) => {
  function create(options: FastifyServerOptions = {}) {
    const app = framework(options)
    onTestFinished(async () => {
      await app.close()
    })
    return app
  }

  it.each([
    ['a prefix', '/ops', undefined],
    ['a prefix that goes on', '/operations/v1', undefined],
    ['a prefixed scope', undefined, '/api'],
    ['both', '/operations', '/api'],
  ])('refuses to serve operations at another path, by %s', async (_how, prefix, scope) => {
    const { gateway } = await startGateway()
    const app = create()
    app.register(async (inner) => void inner.register(operations(gateway), { ...(prefix && { prefix }) }), {
      ...(scope && { prefix: scope }),
    })
    const served = `${scope ?? ''}${prefix ?? ''}`
    await expect(app.ready()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(new RegExp(`${served}\\b.*/operations\\b`)),
    })
  })

  it.each([
    ['by default', '/operations', undefined, undefined],
    ['by a prefix', '/operations', '/operations', undefined],
    ['in a scope', '/api/operations', undefined, '/api'],
    ['in a scope, by a prefix', '/api/operations', '/operations', '/api'],
    ['in a scope of its own', '/api/operations', undefined, '/api/operations'],
  ])('serves operations %s', async (...[, operationsPath, prefix, scope]) => {
    const { gateway } = await startGateway({ operationsPath })
    const app = create()
    app.register(async (inner) => void inner.register(operations(gateway), { ...(prefix && { prefix }) }), {
      ...(scope && { prefix: scope }),
    })
    for (const url of [operationsPath, `${operationsPath}/`, `${operationsPath}/x`]) {
      const answer = await app.inject(url)
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([404, 'application/problem+json'])
    }
  })

  it('D13 answers every method that the framework knows, at the root and below', async () => {
    const { gateway } = await startGateway()
    const app = create()
    app.register(operations(gateway))
    await app.ready()
    for (const method of app.supportedMethods) {
      const withBody = /^(P|Q)/.test(method) && { payload: {} }
      const { statusCode } = await app.inject({ method: method as 'GET', url: '/operations/x', ...withBody })
      const expected = { GET: 404, HEAD: 404, DELETE: 404, OPTIONS: 204 }[method] ?? 405
      expect([method, statusCode]).toEqual([method, expected])
    }
  })

  it('does not take a misspelt path for a wrong mount', async () => {
    const { gateway, errors } = await startGateway()
    const app = create()
    app.register(operations(gateway))
    expect((await app.inject('/%6Fperations/x')).statusCode).toBe(404)
    expect(errors).toEqual([])
  })

  it('D13 refuses a method before its body', async () => {
    const { gateway } = await startGateway()
    const app = create({ bodyLimit: 10 })
    app.register(operations(gateway))
    for (const type of ['application/json', 'application/xml']) {
      const options = { method: 'POST', url: '/operations/x', headers: { 'content-type': type } } as const
      expect((await app.inject({ ...options, payload: '{"no json, and too long' })).statusCode).toBe(405)
    }
  })

  it('leaves parsers, hooks and error handlers outside of its scope alone', async () => {
    const { gateway } = await startGateway()
    const app = create()
    app.register(operations(gateway))
    app.post('/echo', async (request) => request.body)
    expect((await app.inject({ method: 'POST', url: '/echo', payload: { a: 1 } })).json()).toEqual({ a: 1 })
    const malformed = {
      method: 'POST',
      url: '/echo',
      headers: { 'content-type': 'application/json' },
      payload: '{',
    } as const
    expect((await app.inject(malformed)).headers['content-type']).toMatch(/^application\/json/)
  })

  it('turns parser errors of its scope into problems, and leaves other errors to the handler before', async () => {
    const { gateway } = await startGateway()
    const app = create()
    app.setErrorHandler((error, _request, reply) => reply.code(598).send({ outer: (error as Error).message }))
    app.register(async (scope) => {
      scope.register(problems(gateway))
      scope.post('/inner', async () => {
        throw new Error('other')
      })
    })
    app.post('/outer', async () => 'ok')
    const send = (url: string, payload: string) =>
      app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload })
    const refused = await send('/inner', '{')
    expect([refused.statusCode, refused.json().code, refused.headers.vary]).toEqual([
      400,
      'ERR_MALFORMED_BODY',
      'Prefer',
    ])
    expect((await send('/inner', '{}')).json()).toEqual({ outer: 'other' })
    expect((await send('/outer', '{')).statusCode).toBe(598)
  })

  it('leaves other errors to the handler of the framework where there is no other', async () => {
    const { gateway } = await startGateway()
    const app = create()
    app.register(problems(gateway))
    app.get('/', async () => {
      throw Object.assign(new Error('teapot'), { statusCode: 418 })
    })
    expect((await app.inject('/')).json()).toMatchObject({ statusCode: 418, message: 'teapot' })
  })

  it.each([
    ['FST_ERR_CTP_BODY_TOO_LARGE', 413, '{"a":"aaaaaaaaaaaaaaaaaaaaaaaaa"}', 'application/json'],
    ['FST_ERR_CTP_EMPTY_JSON_BODY', 400, '', 'application/json'],
    ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 415, '<a/>', 'application/xml'],
  ])('turns %s into a problem with status %i', async (...[, status, payload, type]) => {
    const { gateway, createUser } = await startGateway()
    const app = create({ bodyLimit: 20 })
    app.register(problems(gateway))
    app.post('/users', handle(createUser))
    const answer = await app.inject({ ...user(''), headers: { 'content-type': type }, payload })
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([status, 'application/problem+json'])
  })

  it('FM-E10 closing the app answers those who wait, and closes the gateway', async () => {
    const { gateway, createUser } = await startGateway({ waitMs: 20_000 })
    const app = create()
    app.register(operations(gateway))
    app.post('/users', handle(createUser))
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const waiting = fetch(`${url}/users`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"username":"nobody"}',
    })
    await vi.waitFor(() => expect(gateway.counters.pending).toBe(1))
    await app.close()
    const answer = await waiting
    expect([answer.status, answer.headers.get('connection')]).toEqual([202, 'close'])
    await expect(createUser.request({ username: 'ann' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  it('goes through the hooks of the application, with answers and with streams', async () => {
    const { gateway, createUser } = await startGateway()
    const app = create()
    const hooks: string[] = []
    app.addHook('onRequest', async (_request, reply) => void reply.header('access-control-allow-origin', '*'))
    app.addHook('onSend', async (request, _reply, payload) => {
      await new Promise((resolve) => setImmediate(resolve))
      hooks.push(`onSend ${request.url}`)
      return payload
    })
    app.addHook('onResponse', async (request) => void hooks.push(`onResponse ${request.url}`))
    app.register(operations(gateway))
    app.post('/users', handle(createUser))
    const created = await app.inject(user('ann'))
    const accepted = await app.inject(user('nobody', { prefer: 'respond-async' }))
    const events = `${accepted.headers.location}/events`
    setTimeout(() => void gateway.operations.cancel(accepted.json().id), 10)
    const stream = await app.inject(events)
    for (const { headers } of [created, accepted, stream]) expect(headers['access-control-allow-origin']).toBe('*')
    expect(stream.payload).toMatch(/"status":"canceled"/)
    await vi.waitFor(() => expect(hooks.filter((hook) => hook.endsWith(events))).toHaveLength(2))
    expect(hooks).toEqual(['/users', '/users', events].flatMap((path) => [`onSend ${path}`, `onResponse ${path}`]))
  })

  it('FM-A17 sends nothing to a client that has left, so that no hook sees an answer', async () => {
    const { gateway, createUser } = await startGateway({ waitMs: 20_000 })
    const app = create()
    const onSend = vi.fn(async () => undefined)
    app.addHook('onSend', onSend)
    app.register(operations(gateway))
    app.post('/users', handle(createUser))
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const controller = new AbortController()
    const left = fetch(`${url}/users`, { ...post('nobody'), signal: controller.signal })
    await vi.waitFor(() => expect(gateway.counters.pending).toBe(1))
    controller.abort()
    await expect(left).rejects.toThrow()
    await vi.waitFor(() => expect(gateway.counters.gone).toBe(1))
    expect((await fetch(`${url}/users`, post('ann'))).status).toBe(201)
    expect(onSend).toHaveBeenCalledOnce()
  })

  it('leaves a reply alone that the application has taken over', async () => {
    const { createUser } = await startGateway()
    const app = create()
    app.post('/users', async (request, reply) => {
      reply.hijack()
      const send = vi.spyOn(reply, 'send')
      await respond(createUser, request, reply, { username: 'ann' })
      reply.raw.end(`sent ${send.mock.calls.length} times`)
    })
    expect((await app.inject(user('ann'))).payload).toBe('sent 0 times')
  })

  it('leaves a header of the application as it is, whatever is in it', async () => {
    const { createUser } = await startGateway()
    const app = create()
    app.addHook('onRequest', async (_request, reply) => void reply.header('x-user', 'José'))
    app.post('/users', handle(createUser))
    const origin = await app.listen({ port: 0, host: '127.0.0.1' })
    expect((await fetch(`${origin}/users`, post('ü'))).headers.get('x-user')).toBe('José')
  })

  it('leaves the answer to the error handler when a hook fails', async () => {
    const { createUser } = await startGateway()
    const app = create()
    let failed = 0
    app.addHook('onSend', async (_request, _reply, payload) => {
      if (failed++ === 0) throw new Error('down')
      return payload
    })
    app.setErrorHandler((error: Error, _request, reply) => void reply.code(503).send({ mine: error.message }))
    app.post('/users', handle(createUser))
    const answer = await app.inject(user('ann'))
    expect([answer.statusCode, answer.json()]).toEqual([503, { mine: 'down' }])
  })

  it('is not bent by serializers of the application', async () => {
    const { createUser } = await startGateway()
    const app = create()
    app.setReplySerializer(() => 'bent')
    app.post('/users', { schema: { response: { 201: { type: 'object', properties: {} } } } }, handle(createUser))
    const answer = await app.inject(user('ann'))
    expect([answer.payload, answer.headers['content-type']]).toEqual(['{"id":"ann"}', 'application/json'])
  })

  it('responds inside of a handler, whether its promise is returned or awaited', async () => {
    const { createUser } = await startGateway()
    const app = create()
    app.post('/returned', (request, reply) => respond(createUser, request, reply, { username: 'a' }))
    app.post('/awaited', async (request, reply) => {
      await respond(createUser, request, reply, { username: 'b' })
    })
    for (const [url, id] of [
      ['/returned', 'a'],
      ['/awaited', 'b'],
    ] as const) {
      expect((await app.inject({ method: 'POST', url })).json()).toEqual({ id })
    }
  })

  it('reads a body that a pass-through parser has handed on as a stream', async () => {
    const { createUser } = await startGateway()
    const app = create()
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    app.post('/users', handle(createUser))
    expect((await app.inject(user('ann'))).json()).toEqual({ id: 'ann' })
  })

  it('works over HTTP/2, and sends no Connection there', async () => {
    const { gateway, createUser } = await startGateway()
    const app = framework({ http2: true } as never)
    onTestFinished(async () => void (await app.close()))
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.register(operations(gateway))
    app.post('/users', handle(createUser))
    const session = connect(await app.listen({ host: '127.0.0.1', port: 0 }))
    onTestFinished(() => session.destroy())
    const ask = (headers: Record<string, string>, body?: string) =>
      new Promise<readonly [headers: Record<string, unknown>, text: string]>((resolve, reject) => {
        const stream = session.request(headers, { endStream: body === undefined })
        let answered: Record<string, unknown> = {}
        let text = ''
        stream.on('response', (head) => {
          answered = head
        })
        stream.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        stream.on('end', () => resolve([answered, text])).on('error', reject)
        if (body !== undefined) stream.end(body)
      })
    const headers = { ':method': 'POST', ':path': '/users', 'content-type': 'application/json' }
    expect(await ask(headers, '{"username":"ann"}')).toEqual([
      expect.objectContaining({ ':status': 201 }),
      '{"id":"ann"}',
    ])
    const [accepted] = await ask({ ...headers, prefer: 'respond-async' }, '{"username":"nobody"}')
    expect((await ask({ ':path': String(accepted['location']) }))[0]).toMatchObject({ ':status': 202 })
    const closing = gateway.close({ drainMs: 0 })
    const [refused] = await ask(headers, '{"username":"ann"}')
    expect([refused[':status'], refused['connection']]).toEqual([503, undefined])
    await closing
  })
})

describe('fastify handlerTimeout', () => {
  it('is the answer that stands when it comes first', async () => {
    const { gateway, createUser } = await startGateway()
    const warn = vi.fn()
    const quiet = { level: 'warn', fatal() {}, error() {}, warn, info() {}, debug() {}, trace() {}, silent() {} }
    const logger = { ...quiet, child: () => logger } as unknown as FastifyBaseLogger
    const app = fastify({ loggerInstance: logger })
    onTestFinished(async () => void (await app.close()))
    app.register(operations(gateway))
    app.post('/users', { handlerTimeout: 20 } as never, handle(createUser))
    expect((await app.inject(user('nobody', { prefer: 'wait=20' }))).statusCode).toBe(503)
    await gateway.close({ drainMs: 0 })
    await vi.waitFor(() => expect(gateway.counters.pending).toBe(0))
    expect(warn).not.toHaveBeenCalled()
  })
})
