import { created, memoryStore, ok, problem } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { type EventInit, toMessage } from '../../../src/core/event.js'
import type { Operation } from '../../../src/core/operation.js'
import { joinJson, jsonOf as jsonTextOf, renderEnd } from '../../../src/http/answer.js'
import type { HttpAnswer } from '../../../src/http/outcomes.js'
import { jsonOf, openService, type ServiceOptions } from './support.js'

/** How the end of an operation by this event is answered. */
async function render(more: Partial<EventInit> & { type: string }, init: ServiceOptions & { isFirst?: boolean } = {}) {
  const service = await openService(init)
  const { gateway, clock } = service
  const result = toMessage({ source: 'worker', correlationId: 'op', data: { id: 'a' }, ...more }, clock)
  const times = { createdAt: 0, updatedAt: 0, expiresAt: 0, retentionMs: 0 }
  const operation: Operation = {
    id: 'op',
    command: 'Make',
    state: 'succeeded',
    version: 2,
    published: true,
    result,
    ...times,
  }
  return { ...service, result, reply: renderEnd(gateway, operation, init) }
}

/** A command whose one result is answered as given, as a table of one's own could. */
function answering(answer: Partial<HttpAnswer> | (() => unknown)): ServiceOptions {
  const make = typeof answer === 'function' ? answer : () => ({ status: 200, ...answer })
  return { command: { outcomes: { Done: { state: 'succeeded', answer: make } } } }
}

describe('renderEnd: successes', () => {
  it('F01 created: the location, and the data byte by byte', async () => {
    const body = Buffer.from('{ "id": "a", "big": 12345678901234567890 }')
    const { reply } = await render({ type: 'Made', body })
    expect(reply).toEqual({
      ...{ status: 201, body: body.toString() },
      headers: { 'content-type': 'application/json', location: '/things/a', 'x-content-type-options': 'nosniff' },
    })
  })

  it('leaves what is long as the bytes that it is', async () => {
    const body = Buffer.from(JSON.stringify('a'.repeat(16_383)))
    expect((await render({ type: 'Made', body })).reply.body).toBe(body)
  })

  it('F03 created without a location has none', async () => {
    const { reply } = await render({ type: 'Done' }, { command: { outcomes: { Done: created() } } })
    expect([reply.status, reply.headers.location]).toEqual([201, undefined])
  })

  it('F04 noContent has neither a body nor a type', async () => {
    const { reply } = await render({ type: 'Deleted' })
    expect(reply).toEqual({ status: 204, headers: { 'x-content-type-options': 'nosniff' } })
  })

  it('F05 seeOther leads on', async () => {
    const { reply } = await render({ type: 'Known' })
    expect([reply.status, reply.headers.location]).toEqual([303, '/things/1'])
  })

  it('takes another body as JSON', async () => {
    const outcomes = { Done: ok({ body: ({ data }) => [data] }) }
    const { reply } = await render({ type: 'Done', data: 7 }, { command: { outcomes } })
    expect([reply.status, reply.headers['content-type'], reply.body]).toEqual([200, 'application/json', '[7]'])
  })

  it('F18 a body that is not JSON has the type that the command declares, never one that a worker chooses', async () => {
    const event = { type: 'Found', contentType: 'image/png', body: Uint8Array.of(1, 2) }
    const outcomes = { Found: 'succeeded' } as const
    const png = await render(event, { command: { outcomes, produces: ['image/png'] } })
    expect([png.reply.headers['content-type'], png.reply.body]).toEqual(['image/png', event.body])
    for (const contentType of ['image/png', 'text/html', 'a/b\r\nset-cookie: x', 'application/json\r\nx: y']) {
      const { reply } = await render({ ...event, contentType })
      expect(reply.headers['content-type'], contentType).toBe('application/octet-stream')
    }
  })

  it.each([
    ['succeeded', 200],
    ['failed', 500],
  ] as const)('an outcome given as %s is answered %d', async (state, status) => {
    const { reply } = await render({ type: 'Done' }, { command: { outcomes: { Done: state } } })
    expect(reply.status).toBe(status)
    expect(reply.headers['content-type']).toBe(status === 200 ? 'application/json' : 'application/problem+json')
  })
})

describe('renderEnd: failures', () => {
  it('F06 G03 a failure is a problem with the name, the words and the data of its event', async () => {
    const { reply } = await render({ type: 'Make::ThingRefused', data: { id: 'a', reason: 'taken' } })
    expect(reply.status).toBe(409)
    expect(jsonOf(reply)).toEqual({
      type: 'urn:respond-async:problem:thing-refused',
      title: 'Thing refused',
      status: 409,
      instance: '/operations/op',
      code: 'Make::ThingRefused',
      retry: 'no',
      data: { id: 'a', reason: 'taken' },
    })
    expect(reply.headers).toMatchObject({ 'cache-control': 'no-store', link: '</operations/op>; rel="status"' })
  })

  it('does not name an operation that is not served', async () => {
    const { reply } = await render({ type: 'Make::ThingRefused' }, { isMounted: false })
    expect(jsonOf(reply)).not.toHaveProperty('instance')
    expect(reply.headers).not.toHaveProperty('link')
  })

  it('takes the members that the table gives', async () => {
    const made = { status: 422, type: 'https://example.com/no', title: 'No', detail: 'Never.', data: { public: 1 } }
    const { reply } = await render(
      { type: 'Done' },
      { command: { outcomes: { Done: problem(made, { headers: () => ({ etag: '"1"' }) }) } } },
    )
    expect(jsonOf(reply)).toMatchObject(made)
    expect(reply.headers.etag).toBe('"1"')
  })

  it('FM-H23 hides the data where the table says so, or where they are no JSON', async () => {
    const hidden = { command: { outcomes: { Done: problem({ status: 409, data: null }) } } }
    expect(jsonOf((await render({ type: 'Done' }, hidden)).reply)).not.toHaveProperty('data')
    const shown = { command: { outcomes: { Done: problem(409) } } }
    expect(jsonOf((await render({ type: 'Done', contentType: 'text/plain' }, shown)).reply)).not.toHaveProperty('data')
  })

  it('FM-E19 the failure of the worker helper is told from declared ones', async () => {
    const { reply } = await render({ type: 'Make::Failed', data: { reason: 'error' } })
    expect(reply.status).toBe(500)
    expect(jsonOf(reply)).toMatchObject({
      ...{ type: 'urn:respond-async:problem:worker-failed', title: 'The request could not be carried out' },
      ...{ code: 'ERR_WORKER_FAILED', retry: 'new-key', data: { reason: 'error' } },
    })
  })

  it('F12 a declared 503 says failed, and invites to come back only the first time', async () => {
    const command = { outcomes: { Done: problem(503) } }
    const first = await render({ type: 'Done' }, { command, isFirst: true })
    expect(jsonOf(first.reply)).toMatchObject({ outcome: 'failed', retry: 'new-key' })
    expect(first.reply.headers['retry-after']).toMatch(/^[1-4]$/)
    const replay = await render({ type: 'Done' }, { command })
    expect(replay.reply.headers).not.toHaveProperty('retry-after')
    expect(jsonOf(replay.reply)).toMatchObject({ outcome: 'failed' })
  })
})

describe('renderEnd: what cannot be answered', () => {
  it('PEER-T20 FM-A16 a table that throws is a 500, which is reported', async () => {
    const { reply, errors } = await render(
      { type: 'Done' },
      answering(() => {
        throw new Error('secret')
      }),
    )
    expect(reply.status).toBe(500)
    expect(jsonOf(reply)).toMatchObject({
      code: 'ERR_MAPPER',
      detail: 'The outcome table of Make has thrown.',
      instance: '/operations/op',
    })
    expect(errors).toMatchObject([{ code: 'ERR_MAPPER', cause: new Error('secret') }])
  })

  it.each([99, 101, 206, 304, 600, 200.5, Number.NaN, '201', undefined])(
    'F17 FM-E16 the status %s is a 502',
    async (status) => {
      const { reply, errors } = await render({ type: 'Done' }, answering({ status: status as number }))
      expect([reply.status, jsonOf(reply).code]).toEqual([502, 'ERR_MALFORMED_RESULT'])
      expect(errors).toHaveLength(1)
    },
  )

  it.each([
    ['set-cookie', 'a=b'],
    ['Location', '/x'],
    ['content-length', '5'],
    ['x y', 'v'],
    ['x', 'a\r\nb: c'],
    ['x', 7 as unknown as string],
  ])('F18 FM-H7 the header %s: %j is a 502', async (name, value) => {
    const { reply } = await render({ type: 'Done' }, answering({ headers: { [name]: value } }))
    expect([reply.status, jsonOf(reply).code]).toEqual([502, 'ERR_MALFORMED_RESULT'])
  })

  it('other headers are sent, in lower case', async () => {
    const { reply } = await render(
      { type: 'Done' },
      answering({ headers: { 'X-Thing': 'é', 'Cache-Control': 'private' } }),
    )
    expect(reply.headers).toMatchObject({ 'x-thing': 'é', 'cache-control': 'private' })
  })

  it.each(['//evil.example', 'https://evil.example/', 'javascript:alert(1)', '/a\r\nb'])(
    'FM-H8 the location %j is a 502',
    async (location) => {
      const { reply } = await render({ type: 'Done' }, answering({ status: 201, location }))
      expect([reply.status, jsonOf(reply).code]).toEqual([502, 'ERR_MALFORMED_RESULT'])
    },
  )

  it('F19 a location is percent-encoded, and may be on the public site', async () => {
    const local = await render({ type: 'Done' }, answering({ status: 201, location: '/users/Jürgen €' }))
    expect(local.reply.headers.location).toBe('/users/J%C3%BCrgen%20%E2%82%AC')
    const options = { publicUrl: 'https://api.example.com' }
    const absolute = await render(
      { type: 'Done' },
      { ...answering({ location: 'https://api.example.com/x' }), options },
    )
    expect(absolute.reply.headers.location).toBe('https://api.example.com/x')
  })

  it('a body without a JSON form is a 500', async () => {
    const { reply, errors } = await render({ type: 'Done' }, answering({ body: 1n }))
    expect([reply.status, jsonOf(reply).code]).toEqual([500, 'ERR_MAPPER'])
    expect(errors).toHaveLength(1)
  })

  it.each([
    ['a promise', Promise.resolve({ status: 200 })],
    ['a promise for a body', { body: Promise.resolve(1) }],
    ['a location that is no text', { location: 7 }],
  ])('FM-A16 %s is a mistake of the outcome table', async (_, made) => {
    const { reply } = await render(
      { type: 'Done' },
      answering(() => made),
    )
    expect([reply.status, jsonOf(reply).code]).toEqual([500, 'ERR_MAPPER'])
  })

  it('a result whose outcome this instance does not know is a 500', async () => {
    const { reply } = await render({ type: 'Elsewhere' })
    expect([reply.status, jsonOf(reply).code]).toEqual([500, 'ERR_UNKNOWN_COMMAND'])
    expect(jsonOf(reply).detail).toBe('This instance has no outcome for Elsewhere of the command Make.')
  })

  it('an end without an event is the problem of its error', async () => {
    const { gateway } = await openService({ store: memoryStore() })
    const times = { createdAt: 0, updatedAt: 0, expiresAt: 0, retentionMs: 0 }
    const ended: Operation = { id: 'op', command: 'Make', state: 'canceled', version: 2, published: true, ...times }
    const error = { code: 'ERR_OPERATION_CANCELED', message: 'Why.' } as const
    expect(jsonOf(renderEnd(gateway, { ...ended, error }))).toMatchObject({
      status: 409,
      detail: 'Why.',
      retry: 'new-key',
      instance: '/operations/op',
    })
    expect(renderEnd(gateway, ended).status).toBe(500)
  })
})

describe('joinJson', () => {
  it('changes no digit of what it joins, and leaves out what is not there', () => {
    const joined = joinJson({ a: 1 }, ['big', '12345678901234567890'], ['none', undefined], ['"q"', 'null'])
    expect(joined).toBe('{"a":1,"big":12345678901234567890,"\\"q\\"":null}')
    expect(joinJson({ a: 1 })).toBe('{"a":1}')
  })
})

describe('jsonOf', () => {
  it('gives the text of JSON, and nothing for other content', () => {
    const body = Buffer.from('{"a":1}')
    expect(jsonTextOf({ body, contentType: 'application/problem+json' })).toBe('{"a":1}')
    expect(jsonTextOf({ body, contentType: 'text/plain' })).toBeUndefined()
    expect(jsonTextOf({ body: new Uint8Array(), contentType: 'application/json' })).toBeUndefined()
  })
})
