import { memoryStore, type Store } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { createId } from '../../../src/core/ids.js'
import type { Operation } from '../../../src/core/operation.js'
import { mountOperations } from '../../../src/http/operations.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { accept, jsonOf, openService } from './support.js'

describe('mountOperations', () => {
  it('refuses another path than the gateway knows, where the adapter can tell', async () => {
    const { gateway } = await openService({ isMounted: false })
    const message =
      'Operations are served at /ops, but operationsPath, the whole public path, is /operations: make the two the same.'
    expect(() => mountOperations(gateway, '/ops')).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message }))
    expect(() => mountOperations(gateway, '/operations')).not.toThrow()
  })
})

describe('handleOperations: the path', () => {
  it.each([
    '/operations',
    '/operations/',
    '/operations/?a=b',
    '/operations/a/status',
    '/operations/a/b',
    '/operations/a/result/b',
    '/operations//result',
  ])('there is nothing at %s', async (path) => {
    const { visit } = await openService()
    const reply = await visit(path)
    expect([reply.status, jsonOf(reply).code]).toEqual([404, 'ERR_NOT_FOUND'])
    expect(reply.headers).toMatchObject({
      'cache-control': 'no-store',
      vary: 'Prefer, Accept',
      'referrer-policy': 'no-referrer',
    })
  })

  it.each(['/ops/a', '/operationsx/a', '/'])(
    'one below %s is a mistake of the configuration, which is reported once',
    async (path) => {
      const { visit, errors } = await openService()
      const reply = await visit(path)
      expect([reply.status, jsonOf(reply).code]).toEqual([500, 'ERR_CONFIG'])
      expect(errors).toMatchObject([{ code: 'ERR_CONFIG', message: expect.stringContaining(`served at ${path}`) }])
    },
  )
})

describe('handleOperations: the methods', () => {
  it('D13 D14 tells which ones there are', async () => {
    const service = await openService()
    const path = await accept(service)
    const allowed = {
      '': 'GET, HEAD, DELETE, OPTIONS',
      '/result': 'GET, HEAD, OPTIONS',
      '/events': 'GET, HEAD, OPTIONS',
    }
    for (const [part, allow] of Object.entries(allowed)) {
      expect(await service.visit(path + part, { method: 'OPTIONS' })).toMatchObject({ status: 204, headers: { allow } })
      const refused = await service.visit(path + part, { method: 'POST' })
      expect([refused.status, refused.headers.allow]).toEqual([405, allow])
    }
    expect((await service.visit(`${path}/result`, { method: 'DELETE' })).status).toBe(405)
  })

  it('D15 HEAD is GET without a body, and does not wait', async () => {
    const service = await openService()
    const path = await accept(service)
    const get = await service.visit(path)
    const head = await service.visit(path, { method: 'HEAD', headers: { prefer: 'wait=20' } })
    expect(head).toEqual({ status: get.status, headers: get.headers })
    await service.answer('Made')
    expect(await service.visit(path, { method: 'HEAD' })).toMatchObject({
      status: 303,
      headers: { location: `${path}/result` },
    })
  })

  it('D17 D18 an Accept without any of our types is a 406', async () => {
    const service = await openService()
    const path = await accept(service)
    for (const [part, accepted] of [
      ['', 'text/html'],
      ['', 'application/json;q=0'],
      ['/events', 'application/json'],
    ] as const) {
      expect((await service.visit(path + part, { headers: { accept: accepted } })).status).toBe(406)
    }
    expect((await service.visit(`${path}/result`, { headers: { accept: 'text/html' } })).status).toBe(202)
    expect((await service.visit(path, { headers: { accept: 'application/*' } })).status).toBe(202)
  })
})

describe('handleOperations: a running operation', () => {
  it('D01 E01 E10 D12 is a 202 with its document', async () => {
    const service = await openService()
    const path = await accept(service)
    const reply = await service.visit(path)
    expect(reply.status).toBe(202)
    expect(reply.headers).toEqual({
      ...{
        'content-type': 'application/json',
        location: path,
        'content-location': path,
        etag: '"1"',
        'retry-after': '1',
      },
      ...{ 'cache-control': 'private, no-cache', vary: 'Prefer, Accept', 'referrer-policy': 'no-referrer' },
      sunset: new Date(service.clock.now() + 3_600_000).toUTCString(),
    })
    expect(jsonOf(reply)).toMatchObject({ status: 'running', links: { self: path } })
    expect((await service.visit(`${path}/result`)).status).toBe(202)
  })

  it.each([
    ['statusStyle: document', { statusStyle: 'document' }, ''],
    ['?follow=false', {}, '?follow=false'],
  ] as const)('D02 D05 with %s it is a 200', async (_, options, query) => {
    const service = await openService({ options })
    const path = await accept(service)
    const reply = await service.visit(path + query)
    expect([reply.status, reply.headers.location, reply.headers['retry-after']]).toEqual([200, undefined, '1'])
    // What will be at the result is not there yet, whatever the style.
    expect((await service.visit(`${path}/result${query}`)).status).toBe(202)
  })

  it('E03 E04 is a 304 to whoever has it already', async () => {
    const service = await openService()
    const path = await accept(service)
    const reply = await service.visit(path, { headers: { 'if-none-match': '"0", W/"1"' } })
    expect(reply).toMatchObject({ status: 304, headers: { etag: '"1"', 'retry-after': '1', 'content-location': path } })
    expect(reply.body).toBeUndefined()
    expect((await service.visit(path, { headers: { 'if-none-match': '"2"' } })).status).toBe(202)
  })
})

describe('handleOperations: a long poll', () => {
  const poll = { headers: { prefer: 'wait=10' } }

  it('B25 waits for the end', async () => {
    const service = await openService()
    const path = await accept(service)
    const reply = service.visit(path, poll)
    await service.clock.advance(3000)
    await service.answer('Made::Progress')
    await service.answer('Made')
    expect(await reply).toMatchObject({ status: 303, headers: { location: `${path}/result` } })
  })

  it('tells how long it has waited', async () => {
    const service = await openService({ options: { maxWaitMs: 2000 } })
    const path = await accept(service)
    const reply = service.visit(path, poll)
    await service.clock.advance(2020)
    expect(await reply).toMatchObject({ status: 202, headers: { 'preference-applied': 'wait=2' } })
  })

  it('B26 with a tag it waits for any change', async () => {
    const service = await openService()
    const path = await accept(service)
    const headers = { prefer: 'wait=10', 'if-none-match': '"1"' }
    const reply = service.visit(path, { headers })
    await service.clock.flush()
    await service.answer('Make::Progress', { data: { percent: 1 } })
    expect(await reply).toMatchObject({ status: 202, headers: { etag: '"2"' } })
    const unchanged = service.visit(path, { headers: { ...headers, 'if-none-match': '"2"' } })
    await service.clock.advance(10_020)
    expect((await unchanged).status).toBe(304)
  })

  it('FM-H21 does not wait while as many wait as may', async () => {
    const service = await openService({ options: { maxPending: 0 } })
    const path = await accept(service)
    expect((await service.visit(path, poll)).status).toBe(202)
    expect(service.gateway.counters.pending).toBe(0)
  })

  it('FM-D19 answers what it last knew of an operation that somebody has deleted', async () => {
    const clock = createFakeClock()
    const store: Store = memoryStore({ clock })
    const service = await openService({ clock, store })
    const path = await accept(service)
    const reply = service.visit(path, poll)
    await clock.flush()
    store.get = async () => undefined
    await clock.advance(10_020)
    expect((await reply).status).toBe(202)
  })
})

describe('handleOperations: an ended operation', () => {
  async function openEnded(type = 'Made', options = {}) {
    const service = await openService({ options })
    const path = await accept(service)
    await service.answer(type)
    return { ...service, path }
  }

  it('D03 D04 D25 E05 E14 leads to its result, whatever the client has', async () => {
    const { visit, path } = await openEnded()
    const reply = await visit(path, { headers: { 'if-none-match': '*' } })
    expect(reply.status).toBe(303)
    expect(reply.headers).toEqual({
      ...{ 'content-type': 'application/json', location: `${path}/result`, 'content-location': path },
      ...{ 'cache-control': 'no-store', vary: 'Prefer, Accept', 'referrer-policy': 'no-referrer' },
    })
    expect(jsonOf(reply)).toMatchObject({ status: 'succeeded', links: { result: `${path}/result` } })
  })

  it('H09 the result is the answer that there would have been', async () => {
    const { visit, path } = await openEnded()
    const reply = await visit(`${path}/result`)
    expect(reply).toMatchObject({
      status: 201,
      headers: { location: '/things/a', 'cache-control': 'private, no-cache' },
    })
    expect(jsonOf(reply)).toEqual({ id: 'a' })
    const refused = await openEnded('Make::ThingRefused')
    expect(await refused.visit(`${refused.path}/result`)).toMatchObject({
      status: 409,
      headers: { 'cache-control': 'no-store' },
    })
    const known = await openEnded('Known')
    expect(await known.visit(`${known.path}/result`)).toMatchObject({
      status: 303,
      headers: { 'cache-control': 'no-store' },
    })
  })

  it('D05 D07 as a document it is a 200 with what came of it, and a 304 to whoever has that', async () => {
    const { visit, path } = await openEnded('Made', { statusStyle: 'document' })
    const reply = await visit(path)
    expect(reply).toMatchObject({ status: 200, headers: { etag: '"2"' } })
    expect(jsonOf(reply)).toMatchObject({ status: 'succeeded', result: { id: 'a' } })
    expect((await visit(path, { headers: { 'if-none-match': '"2"' } })).status).toBe(304)
    const refused = await openEnded('Make::ThingRefused')
    expect(jsonOf(await refused.visit(`${refused.path}?follow=false`))).toMatchObject({
      status: 'failed',
      error: { status: 409 },
    })
  })

  it('FM-D7 one that has expired is a 504 at its result', async () => {
    const service = await openService({ options: { operationTtlMs: 5000 } })
    const path = await accept(service)
    await service.clock.advance(7000)
    const reply = await service.visit(`${path}/result`)
    expect(reply.status).toBe(504)
    expect(jsonOf(reply)).toMatchObject({ code: 'ERR_RESULT_TIMEOUT', retry: 'new-key' })
  })

  it('FM-E15 D09 after its retention it is gone, and an id that never was is not found', async () => {
    const { visit, path, clock } = await openEnded('Made', { operationTtlMs: 10_000, retentionMs: 60_000 })
    await clock.advance(61_000)
    for (const part of ['', '/result', '/events']) {
      const reply = await visit(path + part)
      expect([reply.status, jsonOf(reply).code, reply.headers['cache-control']]).toEqual([
        410,
        'ERR_OPERATION_GONE',
        'no-store',
      ])
    }
    for (const id of [
      'unknown',
      createId(clock.now()),
      createId(clock.now() + 5000),
      createId(clock.now() - 141_000),
    ]) {
      expect((await visit(`/operations/${id}`)).status).toBe(404)
    }
    expect((await visit(`/operations/${createId(clock.now() - 139_000)}`)).status).toBe(410)
  })
})

describe('handleOperations: DELETE', () => {
  const cancel = { method: 'DELETE' }

  it('D19 cancels, and says the same when it is asked again', async () => {
    const service = await openService()
    const path = await accept(service)
    for (let time = 0; time < 2; time += 1) {
      const reply = await service.visit(path, cancel)
      expect(reply).toMatchObject({ status: 200, headers: { etag: '"2"', 'content-type': 'application/json' } })
      expect(jsonOf(reply)).toMatchObject({
        status: 'canceled',
        error: { status: 409, code: 'ERR_OPERATION_CANCELED' },
      })
    }
    const result = await service.visit(`${path}/result`)
    expect([result.status, jsonOf(result).code]).toEqual([409, 'ERR_OPERATION_CANCELED'])
  })

  it('D21 of one that has ended otherwise is a 409', async () => {
    const service = await openService()
    const path = await accept(service)
    await service.answer('Made')
    const reply = await service.visit(path, cancel)
    expect([reply.status, jsonOf(reply).code]).toEqual([409, 'ERR_OPERATION_FINISHED'])
    expect(jsonOf(reply).detail).toBe('The operation has ended as succeeded and cannot be canceled.')
  })

  it('E07 with If-Match it cancels only what the client means', async () => {
    const service = await openService()
    const path = await accept(service)
    expect((await service.visit(path, { ...cancel, headers: { 'if-match': '"0"' } })).status).toBe(412)
    expect((await service.visit(path, { ...cancel, headers: { 'if-match': 'W/"1"' } })).status).toBe(412)
    expect((await service.visit(path, { ...cancel, headers: { 'if-match': '"1"' } })).status).toBe(200)
  })

  it('E07 also when it changes at that moment', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const service = await openService({ clock, store })
    const path = await accept(service)
    const get = store.get.bind(store)
    let reads = 0
    store.get = async (id) => {
      const operation = await get(id)
      reads += 1
      if (reads === 2) await service.answer('Make::Progress')
      return operation
    }
    expect((await service.visit(path, { ...cancel, headers: { 'if-match': '"1"' } })).status).toBe(412)
    expect(await service.visit(path)).toMatchObject({ status: 202 })
  })

  it('one that somebody has deleted meanwhile is not found', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const service = await openService({ clock, store })
    const path = await accept(service)
    const get = store.get.bind(store)
    let reads = 0
    store.get = async (id) => (reads++ === 0 ? get(id) : undefined)
    expect((await service.visit(path, cancel)).status).toBe(404)
  })
})

describe('handleOperations: who may see what', () => {
  const byHeader = {
    principal: ({ headers }: { headers: Record<string, unknown> }) => headers.authorization as string | undefined,
  }

  it('FM-H2 D10 C09 for everybody else an operation is not there, whatever the verb', async () => {
    const service = await openService({ options: byHeader as never })
    const { headers } = await service.post({}, { headers: { prefer: 'respond-async', authorization: 'ada' } })
    const path = String(headers.location)
    const unknown = await service.visit('/operations/unknown', { headers: { authorization: 'bob' } })
    for (const [method, part] of [
      ['GET', ''],
      ['HEAD', ''],
      ['DELETE', ''],
      ['GET', '/result'],
      ['GET', '/events'],
    ] as const) {
      for (const authorization of ['bob', undefined]) {
        const reply = await service.visit(path + part, {
          method,
          headers: authorization === undefined ? {} : { authorization },
        })
        expect(reply.status).toBe(404)
        if (method !== 'HEAD') expect(jsonOf(reply)).toEqual(jsonOf(unknown))
      }
    }
    expect((await service.visit(path, { headers: { authorization: 'ada' } })).status).toBe(202)
  })

  it("a hook of one's own decides on every verb", async () => {
    const asked: unknown[] = []
    const authorize = async (operation: Operation, principal: string | undefined, verb: string) => {
      asked.push([operation.command, principal, verb])
      return verb === 'read'
    }
    const service = await openService({ options: { authorize } })
    const path = await accept(service)
    expect((await service.visit(path)).status).toBe(202)
    expect((await service.visit(path, { method: 'DELETE' })).status).toBe(404)
    expect(asked).toEqual([
      ['Make', undefined, 'read'],
      ['Make', undefined, 'cancel'],
    ])
  })

  it('what the hook throws is answered by its status, and reported where it has none', async () => {
    const errors = [Object.assign(new Error('no'), { statusCode: 403 }), new Error('boom')]
    const authorize = () => {
      throw errors.shift()
    }
    const service = await openService({ options: { authorize } })
    const path = await accept(service)
    expect((await service.visit(path)).status).toBe(403)
    expect(service.errors).toEqual([])
    expect((await service.visit(path)).status).toBe(500)
    expect(service.errors).toMatchObject([{ code: 'ERR_HOOK' }])
  })
})

describe('handleOperations: the store is away', () => {
  it('FM-D1 says so, and when to come back', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const service = await openService({ clock, store })
    await store.close()
    const reply = await service.visit('/operations/a')
    expect([reply.status, jsonOf(reply).outcome]).toEqual([503, 'not-accepted'])
    expect(reply.headers['retry-after']).toMatch(/^[1-4]$/)
  })
})
