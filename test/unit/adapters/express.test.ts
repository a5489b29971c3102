import { Agent, type IncomingMessage, request } from 'node:http'
import { createRequire } from 'node:module'
import { json } from 'node:stream/consumers'
import express from 'express'
import { handle, operations, problems, respond } from 'respond-async/express'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { listen, post, startGateway } from './support.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express

/** Counts what comes through to the application's own error handler. */
function catching(app: express.Express): unknown[] {
  const caught: unknown[] = []
  // biome-ignore lint/complexity/useMaxParams: Express knows error handlers by their four parameters.
  const handler: express.ErrorRequestHandler = (error, _req, res, _next) => {
    caught.push(error)
    if (res.headersSent) res.end()
    else res.status(599).send('caught')
  }
  app.use(handler)
  return caught
}

describe.each([
  ['express 5', express],
  ['express 4', express4],
])('%s adapter', (_name, framework) => {
  it('answers every request with ERR_CONFIG where operations are mounted at another path, and reports both', async () => {
    const { gateway, errors } = await startGateway()
    const app = framework()
    app.use('/ops', operations(gateway))
    const answer = await fetch(`${await listen(app)}/ops/x`)
    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ code: 'ERR_CONFIG', status: 500 })
    expect(errors.map(({ code }) => code)).toEqual(['ERR_CONFIG'])
    expect(errors[0]?.message).toMatch(/\/ops\b.*\/operations\b/)
  })

  it('does not take a misspelt path for a wrong mount', async () => {
    const { gateway, errors } = await startGateway()
    const url = await listen(framework().use('/operations', operations(gateway)))
    const answer = await fetch(`${url}/OPERATIONS/x`)
    expect([answer.status, await answer.json()]).toMatchObject([404, { code: 'ERR_NOT_FOUND' }])
    expect(errors).toEqual([])
  })

  it('serves operations to clients that name the whole URL', async () => {
    const { gateway } = await startGateway()
    const { hostname, port } = new URL(await listen(framework().use('/operations', operations(gateway))))
    const answer = await new Promise<IncomingMessage>((resolve) => {
      request({ hostname, port, path: `http://${hostname}:${port}/operations/x` }, resolve).end()
    })
    expect(await json(answer)).toMatchObject({ code: 'ERR_OPERATION_NOT_FOUND' })
  })

  it('serves operations below a router, by the whole path', async () => {
    const { gateway, createUser } = await startGateway({ operationsPath: '/api/operations' })
    const router = framework.Router().post('/users', handle(createUser)).use('/operations', operations(gateway))
    const url = await listen(framework().use('/api', router))
    const accepted = await fetch(`${url}/api/users`, post('nobody', { prefer: 'respond-async' }))
    expect(accepted.headers.get('location')).toMatch(/^\/api\/operations\//)
    expect((await fetch(url + accepted.headers.get('location'))).status).toBe(202)
  })

  it('leaves errors that are no parser errors to the next error handler', async () => {
    const { gateway } = await startGateway()
    const app = framework()
    const failure = Object.assign(new Error('no'), { status: 400 })
    app.get('/fails', (_req, _res, next) => next(failure))
    app.get('/began', (_req, res, next) => {
      res.write('half')
      next(Object.assign(new Error('late'), { status: 400, type: 'entity.parse.failed' }))
    })
    app.use(problems(gateway))
    const caught = catching(app)
    const url = await listen(app)
    expect((await fetch(`${url}/fails`)).status).toBe(599)
    expect(await (await fetch(`${url}/began`)).text()).toBe('half')
    expect(caught).toEqual([failure, expect.objectContaining({ message: 'late' })])
  })

  it('gives an answer that cannot be written to next', async () => {
    const { createUser } = await startGateway()
    const app = framework()
    app.use((_req, res, next) => {
      vi.spyOn(res, 'setHeader').mockImplementationOnce(() => {
        throw new Error('not writable')
      })
      next()
    })
    app.post('/users', handle(createUser))
    const caught = catching(app)
    expect((await fetch(`${await listen(app)}/users`, post('ann'))).status).toBe(599)
    expect(caught).toEqual([expect.objectContaining({ message: 'not writable' })])
  })

  it('refuses what other parsers have made of a body', async () => {
    const { createUser } = await startGateway()
    const app = framework().use(framework.json(), framework.urlencoded({ extended: false }), framework.text())
    const url = await listen(app.post('/users', handle(createUser)))
    for (const type of ['application/x-www-form-urlencoded', 'text/plain']) {
      const answer = await fetch(`${url}/users`, post('ann', { 'content-type': type }))
      expect([answer.status, answer.headers.get('accept')]).toEqual([415, 'application/json'])
    }
  })

  it('parses the bytes that a raw parser has left', async () => {
    const { createUser } = await startGateway()
    const app = framework().use(framework.raw({ type: '*/*' }))
    const answer = await fetch(`${await listen(app.post('/users', handle(createUser)))}/users`, post('ann'))
    expect([answer.status, await answer.json()]).toEqual([201, { id: 'ann' }])
  })

  it('says so when something has taken the body and left nothing', async () => {
    const { gateway, createUser, errors } = await startGateway()
    const app = framework().use((req, _res, next) => {
      req.resume().on('end', () => next())
    })
    app.post('/users', handle(createUser)).use(problems(gateway))
    const answer = await fetch(`${await listen(app)}/users`, post('ann'))
    expect([answer.status, await answer.json()]).toMatchObject([500, { code: 'ERR_CONFIG' }])
    expect(errors.length).toBeLessThanOrEqual(1)
  })

  it('F09 refuses a compressed body that no parser has inflated', async () => {
    const { createUser } = await startGateway()
    const url = await listen(framework().post('/users', handle(createUser)))
    const answer = await fetch(`${url}/users`, post('ann', { 'content-encoding': 'gzip' }))
    expect([answer.status, answer.headers.get('accept-encoding')]).toEqual([415, 'identity'])
  })

  it.each([
    ['of known length', { 'content-length': '200000' }],
    ['in chunks', {}],
  ])('keeps the connection for the next request when a body %s was too long', async (_how, headers) => {
    const { createUser } = await startGateway({ bodyLimit: 100 })
    const ports: unknown[] = []
    const app = framework().use((req, _res, next) => {
      ports.push(req.socket.remotePort)
      next()
    })
    const url = await listen(app.post('/users', handle(createUser)))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const send = (more: object, parts: readonly string[]) =>
      new Promise<number | undefined>((resolve, reject) => {
        const type = { 'content-type': 'application/json', ...more }
        const outgoing = request(`${url}/users`, { agent, method: 'POST', headers: type })
        outgoing.on('response', (answer) => answer.resume().on('end', () => resolve(answer.statusCode)))
        outgoing.on('error', reject)
        for (const part of parts) outgoing.write(part)
        outgoing.end()
      })
    expect(await send(headers, ['x'.repeat(100_000), 'x'.repeat(100_000)])).toBe(413)
    expect(await send({}, ['{"username":"ann"}'])).toBe(201)
    expect(ports).toEqual([ports[0], ports[0]])
  })

  it('leaves a header of the application as it is, whatever is in it', async () => {
    const { createUser } = await startGateway()
    const app = framework().use((_req, res, next) => next(void res.set('x-user', 'José')))
    app.post('/users', handle(createUser))
    expect((await fetch(`${await listen(app)}/users`, post('ü'))).headers.get('x-user')).toBe('José')
  })

  it('keeps the links and the Vary that the application has set', async () => {
    const { gateway, createUser } = await startGateway()
    const app = framework().use((_req, res, next) => {
      res.set({ vary: 'Origin, Prefer', link: '</docs>; rel="help"' })
      next()
    })
    app.post('/users', (req, res) => respond(createUser, req, res, { username: 'nobody' }))
    app.use('/operations', operations(gateway))
    const { headers } = await fetch(`${await listen(app)}/users`, post('x', { prefer: 'respond-async' }))
    expect(headers.get('vary')).toBe('Origin, Prefer')
    expect(headers.get('link')).toMatch(/^<\/docs>; rel="help", <\/operations\/.{26}>; rel="status"$/)
  })
})
