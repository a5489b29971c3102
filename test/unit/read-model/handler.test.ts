import { created, createGateway, memoryTransport } from 'respond-async'
import { createReadModel, type ReadOptions } from 'respond-async/read-model'
import { afterEach, describe, expect, it } from 'vitest'
import { type EventMessage, toMessage } from '../../../src/core/event.js'
import { mountOperations } from '../../../src/http/operations.js'
import type { HttpRequest } from '../../../src/http/types.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { faultyTransport } from '../../../src/testing/faulty.js'
import { watch } from '../core/support.js'
import { jsonOf, requestOf } from '../http/support.js'
import { eventOf, publish, type User, usersProjection } from './support.js'

const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Init {
  readonly options?: Partial<ReadOptions<User>>
  /** What the id of the created user is made of. */
  readonly creates?: (operation: { id: string; request?: EventMessage | undefined }) => string
  readonly isMounted?: boolean
}

/** A gateway whose users are read from a read model that can be held up. */
async function open({ options, creates = ({ id }) => id, isMounted = true }: Init = {}) {
  const clock = createFakeClock()
  const transport = memoryTransport({ clock })
  let hold: Promise<void> | undefined
  const slow = faultyTransport(transport, async (call) => (call === 'deliver' ? await hold : 'ok'))
  const users = createReadModel<User>({ transport: slow, projection: usersProjection(), clock })
  const principal = ({ headers }: HttpRequest) => headers.authorization as string | undefined
  const gateway = createGateway({ transport, clock, principal })
  const create = gateway.command({ publish: 'Create', outcomes: { Created: created(), Refused: 'failed' }, creates })
  if (isMounted) mountOperations(gateway)
  await transport.start()
  await transport.subscribe(
    { channel: 'requests', types: ['Create'], reading: { kind: 'shared', group: 'w' } },
    async () => 'ack',
  )
  await users.start()
  await gateway.start()
  ends.push(
    () => transport.close(),
    () => users.close(),
    () => gateway.close({ drainMs: 0 }),
  )
  const read = (id: string, more: Partial<HttpRequest> = {}) =>
    users.answer(requestOf({ method: 'GET', url: `/users/${id}`, params: { id }, ...more }), { gateway, ...options })
  const say = async (id: string, type = 'Created', data: unknown = { id, name: 'Ada' }) => {
    const message = toMessage({ type, source: 'w', data, correlationId: id, time: clock.now() }, clock)
    await publish(transport, message)
    await clock.flush()
  }
  const ask = async (more = {}) => {
    const reply = await create.request({ name: 'ada' }, { waitMs: 0, ...more })
    await clock.flush()
    return reply.operation
  }
  const holdUp = () => {
    let release = () => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    return () => {
      hold = undefined
      release()
    }
  }
  return { clock, transport, users, gateway, read, say, ask, holdUp }
}

describe('a read over HTTP', () => {
  it('E17 E18 has the state, an entity tag of it and the time of its last event, and promises no freshness', async () => {
    const { read, say, clock } = await open()
    await say('a')
    const { status, headers, body } = await read('a')
    expect([status, JSON.parse(String(body))]).toEqual([200, { id: 'a', name: 'Ada', names: ['Ada'] }])
    expect(headers).toEqual({
      etag: expect.stringMatching(/^"[\w-]{22}"$/),
      'last-modified': new Date(clock.now() + 1000).toUTCString(),
      'cache-control': 'private, no-cache',
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      vary: 'Prefer',
    })
    await say('a', 'Renamed', { id: 'a', name: 'Countess' })
    expect((await read('a')).headers.etag).not.toBe(headers.etag)
  })

  it('E03 E04 is 304 for whoever has it, and 200 for all others', async () => {
    const { read, say, clock } = await open()
    await say('a')
    const { headers } = await read('a')
    const { etag = '', 'last-modified': modified = '' } = headers
    const conditions: [Record<string, string>, number][] = [
      [{ 'if-none-match': etag }, 304],
      [{ 'if-none-match': `"x", W/${etag}` }, 304],
      [{ 'if-none-match': '*' }, 304],
      [{ 'if-none-match': '"x"' }, 200],
      [{ 'if-modified-since': modified }, 304],
      [{ 'if-modified-since': new Date(clock.now() + 5000).toUTCString() }, 304],
      [{ 'if-modified-since': new Date(clock.now() - 5000).toUTCString() }, 200],
      [{ 'if-modified-since': '2999' }, 200],
      [{ 'if-modified-since': 'Someday' }, 200],
      // RFC 9110 section 13.1.3: ignored beside the other one.
      [{ 'if-none-match': '"x"', 'if-modified-since': modified }, 200],
    ]
    for (const [condition, expected] of conditions) {
      const reply = await read('a', { headers: condition })
      expect([condition, reply.status]).toEqual([condition, expected])
      expect([reply.headers.etag, reply.headers['cache-control']]).toEqual([etag, 'private, no-cache'])
      if (expected === 304) expect(reply.body).toBeUndefined()
    }
  })

  it('is not 304 for the date of a second in which something may still happen', async () => {
    const { read, transport, clock } = await open()
    const second = Math.floor(Date.now() / 1000) * 1000
    const change = async (id: string, name: string, time: number) => {
      await publish(transport, eventOf('Created', { id, name }, { clock, time }))
      await clock.flush()
    }
    // Of now, and so exact as clocks with seconds are.
    for (const [id, one, two] of [['a', 100, 900] as const, ['b', 0, 0] as const]) {
      await change(id, 'Ada', second + one)
      const modified = (await read(id)).headers['last-modified']
      expect(modified).toBe(new Date(second).toUTCString())
      await change(id, 'Countess', second + two)
      const again = await read(id, { headers: { 'if-modified-since': modified } })
      expect([again.status, jsonOf(again).name]).toEqual([200, 'Countess'])
      // Nor for the date of the answer itself.
      const date = new Date(second).toUTCString()
      expect((await read(id, { headers: { 'if-modified-since': date } })).status).toBe(200)
    }
    await change('c', 'Cy', second - 20_000 + 300)
    const modified = (await read('c')).headers['last-modified']
    expect(modified).toBe(new Date(second - 19_000).toUTCString())
    expect((await read('c', { headers: { 'if-modified-since': modified } })).status).toBe(304)
    await change('c', 'Cyd', second - 15_000)
    expect((await read('c', { headers: { 'if-modified-since': modified } })).status).toBe(200)
  })

  it('never says that it was modified in the future', async () => {
    const { read, transport, clock } = await open()
    await publish(transport, eventOf('Created', { id: 'a', name: 'A' }, { clock, time: Date.now() + 3_600_000 }))
    await clock.flush()
    const { headers } = await read('a')
    expect(Date.parse(headers['last-modified'] ?? '')).toBeLessThanOrEqual(Date.now())
  })

  it('answers HEAD without a body, OPTIONS, and 405', async () => {
    const { read, say } = await open()
    await say('a')
    const head = await read('a', { method: 'HEAD' })
    expect([head.status, head.body, head.headers.etag]).toEqual([200, undefined, (await read('a')).headers.etag])
    expect(await read('a', { method: 'OPTIONS' })).toMatchObject({
      status: 204,
      headers: { allow: 'GET, HEAD, OPTIONS' },
    })
    const put = await read('a', { method: 'PUT' })
    expect([put.status, put.headers.allow, jsonOf(put).code]).toEqual([
      405,
      'GET, HEAD, OPTIONS',
      'ERR_METHOD_NOT_ALLOWED',
    ])
  })

  it('says that there is nothing, and that nobody may keep this', async () => {
    const { read } = await open()
    for (const id of ['nobody', '__proto__', 'x'.repeat(1000), 'a/b', '\0']) {
      const reply = await read(id)
      expect([id, reply.status, jsonOf(reply).code, jsonOf(reply).retry]).toEqual([id, 404, 'ERR_NOT_FOUND', 'no'])
      expect(reply.headers['cache-control']).toBe('no-store')
    }
    expect((await read('', { url: '/users/' })).status).toBe(404)
  })

  it('E18 says that what is missing is being created, and where', async () => {
    const { read, say, ask } = await open()
    const { id } = await ask()
    const reply = await read(id)
    expect([reply.status, jsonOf(reply)]).toEqual([
      404,
      expect.objectContaining({ code: 'ERR_NOT_CREATED_YET', retry: 'safe', instance: `/operations/${id}` }),
    ])
    expect(reply.headers).toMatchObject({
      'cache-control': 'no-store',
      'retry-after': '1',
      link: `</operations/${id}>; rel="status"`,
    })
    await say(id)
    expect((await read(id)).status).toBe(200)
  })

  it('E18 answers 202 with the operation where that is wanted, and operations are served', async () => {
    const { read, ask } = await open({ options: { pending: 'accepted' } })
    const { id } = await ask()
    const reply = await read(id)
    expect([reply.status, jsonOf(reply).status]).toEqual([202, 'running'])
    expect(reply.headers).toMatchObject({
      location: `/operations/${id}`,
      'cache-control': 'no-store',
      'retry-after': '1',
    })
    const unmounted = await open({ options: { pending: 'accepted' }, isMounted: false })
    const other = await unmounted.ask()
    expect((await unmounted.read(other.id)).status).toBe(404)
  })

  it('finds what is being created by an id of its own', async () => {
    const nameOf = (request: EventMessage | undefined) => JSON.parse(Buffer.from(request?.body ?? '').toString()).name
    const { read, say, ask } = await open({ creates: ({ request }) => nameOf(request) })
    const { id } = await ask()
    expect(jsonOf(await read('ada'))).toMatchObject({ code: 'ERR_NOT_CREATED_YET', instance: `/operations/${id}` })
    expect(jsonOf(await read(id)).code).toBe('ERR_NOT_FOUND')
    await say(id, 'Created', { id: 'ada', name: 'Ada' })
    expect((await read('ada')).status).toBe(200)
  })

  it('a mistake in creates does not stop the request', async () => {
    const { read, ask, gateway } = await open({
      creates: () => {
        throw new Error('a mistake')
      },
    })
    gateway.on('error', () => {})
    const { id, state } = await ask()
    expect([state, (await read(id)).status, gateway.counters.error]).toEqual(['running', 404, 1])
  })

  it('an id without UTF-8 form, which no URL names, is not noted', async () => {
    const { ask, gateway } = await open({ creates: () => 'half \ud800' })
    gateway.on('error', () => {})
    expect([(await ask()).state, gateway.counters.error]).toEqual(['running', 0])
    expect(await gateway.operations.creating('half \ud800')).toEqual([])
  })

  it('FM-G8 FM-C13 waits for what an ended operation has created', async () => {
    const { read, say, ask, holdUp, clock } = await open()
    const { id } = await ask()
    const release = holdUp()
    await say(id)
    const reading = watch(read(id))
    await clock.advance(500)
    expect(reading.isSettled).toBe(false)
    release()
    await clock.flush()
    expect((await reading.promise).status).toBe(200)
  })

  it('FM-G8 and says that it is on its way when that takes too long', async () => {
    const { read, say, ask, holdUp, clock } = await open({ options: { lagMs: 100 } })
    const { id } = await ask()
    const release = holdUp()
    await say(id)
    const reading = read(id)
    await clock.advance(150)
    expect(jsonOf(await reading).code).toBe('ERR_NOT_CREATED_YET')
    release()
  })

  it('FM-H2 and tells nobody else that it is', async () => {
    const { read, say, ask, holdUp, clock } = await open({ options: { lagMs: 100 } })
    const { id } = await ask({ principal: 'alice' })
    const release = holdUp()
    await say(id)
    const readings = ['alice', 'bob'].map((authorization) => read(id, { headers: { authorization } }))
    await clock.advance(150)
    const codes = (await Promise.all(readings)).map((reply) => jsonOf(reply).code)
    expect(codes).toEqual(['ERR_NOT_CREATED_YET', 'ERR_NOT_FOUND'])
    release()
  })

  it('waits for the end of the operation where the client would rather do that', async () => {
    const { read, say, ask, clock } = await open()
    const { id } = await ask()
    const reading = watch(read(id, { headers: { prefer: 'wait=5' } }))
    await clock.advance(3000)
    expect(reading.isSettled).toBe(false)
    await say(id)
    expect((await reading.promise).status).toBe(200)
    const { id: slow } = await ask()
    const late = read(slow, { headers: { prefer: 'wait=1' } })
    await clock.advance(1100)
    expect(jsonOf(await late).code).toBe('ERR_NOT_CREATED_YET')
  })

  it('what has failed, was canceled, or has made nothing, is not on its way', async () => {
    const { read, say, ask, gateway } = await open()
    const failed = await ask()
    await say(failed.id, 'Refused')
    const canceled = await ask()
    await gateway.operations.cancel(canceled.id)
    const other = await ask()
    await say(other.id, 'Created', { id: 'another id', name: 'x' })
    for (const { id } of [failed, canceled, other]) expect(jsonOf(await read(id)).code).toBe('ERR_NOT_FOUND')
  })

  it('FM-H2 tells nobody else what is being created', async () => {
    const { read, ask } = await open()
    const { id } = await ask({ principal: 'alice' })
    const codeFor = async (authorization?: string) =>
      jsonOf(await read(id, authorization === undefined ? {} : { headers: { authorization } })).code
    expect([await codeFor('alice'), await codeFor('bob'), await codeFor()]).toEqual([
      'ERR_NOT_CREATED_YET',
      'ERR_NOT_FOUND',
      'ERR_NOT_FOUND',
    ])
  })

  /** Users whose ids are their names, read by alice and others. */
  async function named() {
    const nameOf = (request: EventMessage | undefined) => JSON.parse(Buffer.from(request?.body ?? '').toString()).name
    const world = await open({ creates: ({ request }) => nameOf(request) })
    const seenBy = async (authorization: string, more = {}) => {
      const { code, instance } = jsonOf(await world.read('ada', { headers: { authorization, ...more } }))
      return [code, instance]
    }
    return { ...world, seenBy }
  }
  const pendingIn = ({ id }: { id: string }) => ['ERR_NOT_CREATED_YET', `/operations/${id}`]
  const NOTHING = ['ERR_NOT_FOUND', undefined]

  it('FM-H2 goes on saying what is being created when somebody else asks for the same id, whatever comes of that', async () => {
    const { ask, say, seenBy } = await named()
    const first = await ask({ principal: 'alice' })
    const second = await ask({ principal: 'mallory' })
    expect([await seenBy('alice'), await seenBy('mallory')]).toEqual([pendingIn(first), pendingIn(second)])
    await say(second.id, 'Refused')
    expect([await seenBy('alice'), await seenBy('mallory')]).toEqual([pendingIn(first), NOTHING])
    const third = await ask({ principal: 'alice' })
    await say(first.id, 'Refused')
    expect([await seenBy('alice'), await seenBy('bob')]).toEqual([pendingIn(third), NOTHING])
    await say(third.id, 'Refused')
    expect(await seenBy('alice')).toEqual(NOTHING)
  })

  it('finds all operations that begin at once to create the same', async () => {
    const { ask, seenBy } = await named()
    const principals = Array.from({ length: 16 }, (_, n) => `p${n}`)
    const operations = await Promise.all(principals.map((principal) => ask({ principal })))
    for (const [n, operation] of operations.entries()) expect(await seenBy(`p${n}`)).toEqual(pendingIn(operation))
    // Beyond that those that run stand.
    const late = await ask({ principal: 'late' })
    expect([await seenBy('late'), late.state]).toEqual([NOTHING, 'running'])
    expect(await seenBy('p0')).toEqual(pendingIn(operations[0] as { id: string }))
  })

  it('whoever starts very many that create the same hides none of the others', async () => {
    const { ask, seenBy } = await named()
    const first = await ask({ principal: 'mallory' })
    for (let count = 0; count < 40; count += 1) await ask({ principal: 'mallory' })
    const own = await ask({ principal: 'alice' })
    for (let count = 0; count < 40; count += 1) await ask({ principal: 'mallory' })
    expect([await seenBy('alice'), await seenBy('mallory')]).toEqual([pendingIn(own), pendingIn(first)])
  })

  it('those that were refused, however many, take nobody the place', async () => {
    const { ask, say, seenBy } = await named()
    const first = await ask({ principal: 'alice' })
    for (let count = 0; count < 40; count += 1) {
      const { id } = await ask({ principal: 'mallory' })
      await say(id, count % 2 === 0 ? 'Refused' : 'Created', { id: 'another', name: 'x' })
    }
    const last = await ask({ principal: 'mallory' })
    expect([await seenBy('alice'), await seenBy('mallory')]).toEqual([pendingIn(first), pendingIn(last)])
  })

  it('waits for an operation of its reader, and then says what of the others is left', async () => {
    const { ask, say, read, seenBy, clock } = await named()
    const first = await ask({ principal: 'alice' })
    const second = await ask({ principal: 'alice' })
    const reading = watch(seenBy('alice', { prefer: 'wait=5' }))
    await clock.advance(3000)
    expect(reading.isSettled).toBe(false)
    await say(first.id, 'Refused')
    expect(await reading.promise).toEqual(pendingIn(second))
    const created = read('ada', { headers: { authorization: 'alice', prefer: 'wait=5' } })
    await clock.advance(1000)
    await say(second.id, 'Created', { id: 'ada', name: 'Ada' })
    expect((await created).status).toBe(200)
  })

  it('is 503 before it has caught up', async () => {
    const { read, users } = await open()
    await users.close()
    const reply = await read('a')
    expect([reply.status, jsonOf(reply)]).toEqual([
      503,
      expect.objectContaining({ code: 'ERR_NOT_CAUGHT_UP', retry: 'safe', outcome: 'not-accepted' }),
    ])
    expect(reply.headers['retry-after']).toMatch(/^\d+$/)
  })

  it('works without a gateway, with keys, bodies and caching of one’s own', async () => {
    const { users, say } = await open()
    await say('a')
    const options: ReadOptions<User> = {
      key: ({ query }) => query.id as string,
      show: ({ name }, { params }) => (params.hidden ? undefined : { name }),
      cacheControl: 'public, max-age=5',
    }
    const request = requestOf({ method: 'GET', url: '/?id=a' })
    const reply = await users.answer(request, options)
    expect([reply.status, jsonOf(reply), reply.headers['cache-control'], reply.headers.vary]).toEqual([
      ...[200, { name: 'Ada' }],
      ...['public, max-age=5', undefined],
    ])
    expect((await users.answer({ ...request, params: { hidden: 'yes' } }, options)).status).toBe(404)
    expect((await users.answer(requestOf({ method: 'GET', url: '/users/a?x=1' }))).status).toBe(200)
    expect((await users.answer(requestOf({ method: 'GET', url: '/users/%E0%A4%A' }))).status).toBe(404)
    expect((await users.answer(requestOf({ method: 'GET', url: '/' }), options)).status).toBe(404)
    const broken = { show: () => JSON.parse('{') }
    expect((await users.answer(requestOf({ method: 'GET', url: '/users/a' }), broken)).status).toBe(500)
  })
})
