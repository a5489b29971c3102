import { createGateway, memoryStore } from 'respond-async'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { GatewayError } from '../../../src/core/errors.js'
import type { EventInit, EventMessage } from '../../../src/core/event.js'
import { SEQUENCE_HEADER } from '../../../src/core/operation.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { directTransport, openWorld, resultOf, type World, type WorldOptions } from './support.js'

/** A gateway whose one request is running; messages go to its two readers by hand. */
async function openRunning(init: WorldOptions = {}) {
  const clock = init.clock ?? createFakeClock()
  const transport = directTransport()
  const store = init.store ?? memoryStore({ clock })
  const world = await openWorld({ clock, transport, ...init, store })
  const reply = world.ask.request({ n: 1 }, { waitMs: 10_000 })
  await clock.flush()
  const [request] = transport.published
  const id = String(request?.id)
  const message = (more: Partial<EventInit> = {}) => resultOf(request, clock, more)
  return { ...world, clock, reply, request, id, message, transport, store: store as ReturnType<typeof memoryStore> }
}

type Running = Awaited<ReturnType<typeof openRunning>>

function counted({ gateway }: World | Running): Record<string, number> {
  const { started: _, ...counters } = gateway.counters
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count > 0))
}

async function orphansOf({ store }: Running): Promise<{ id: string; body: string }[]> {
  const records = await store.records.list('orphan/')
  return records.map(({ value }) => JSON.parse(Buffer.from(value).toString()))
}

describe('results: the own copy', () => {
  it('wakes those who wait with what the store has decided', async () => {
    const running = await openRunning()
    const { reply, transport, message } = running
    const result = message()
    await transport.deliver('own', result)
    expect(await reply).toMatchObject({ kind: 'completed', event: { id: result.id } })
    expect(counted(running)).toEqual({ created: 1, completed: 1 })
  })

  it('FM-A6 answers the verdict of the store and not what it has read', async () => {
    const { reply, store, transport, message, id } = await openRunning()
    const stored = message({ type: 'NotDone', data: { reason: 'first' } })
    await store.complete(id, { state: 'failed', result: stored, command: 'Ask' })
    await transport.deliver('own', message())
    expect(await reply).toMatchObject({ kind: 'completed', event: { id: stored.id, data: { reason: 'first' } } })
  })

  it.each<[string, (running: Running) => Partial<EventInit>]>([
    ['an id that nobody here waits for', () => ({ correlationId: 'somebody-elses' })],
    ['no id', () => ({ correlationId: undefined })],
    ['an id that is none', () => ({ correlationId: ['a'] as unknown as string })],
  ])(
    'P10 FM-A7 FM-A8 FM-F10 PEER-T8 drops a message with %s, by one counter and without a look at its body',
    async (_, more) => {
      const running = await openRunning()
      const { transport, message, gateway } = running
      const strange = message({ ...more(running), body: Buffer.from('{') })
      expect(await transport.deliver('own', strange)).toBeUndefined()
      expect(counted(running)).toEqual({ created: 1, skipped: 1, pending: 1, open: 1 })
      expect(gateway.isReady).toBe(true)
    },
  )

  it('Q06 FM-A9 understands an id that a client library hands out as bytes', async () => {
    const { reply, transport, message, id } = await openRunning()
    await transport.deliver('own', message({ correlationId: Buffer.from(id) as unknown as string }))
    expect((await reply).kind).toBe('completed')
  })

  it('FM-A13 PEER-T10 keeps waiting when a type comes that the command does not declare', async () => {
    const running = await openRunning()
    const { transport, message } = running
    await transport.deliver('own', message({ type: 'Other' }))
    // The request event itself, on a topic that both share.
    await transport.deliver('own', message({ type: 'Ask' }))
    expect(counted(running)).toMatchObject({ pending: 1, open: 1 })
    expect(counted(running)).not.toHaveProperty('completed')
  })

  it('P16 FM-D4 a store that fails here is reported; the shared reader has the result too', async () => {
    let isDown = true
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'complete' && isDown ? 'fail-before' : 'ok')
    const running = await openRunning({ clock, store: memoryStore({ clock }), storeFaults })
    const { transport, message, reply, errors } = running
    const result = message()
    await transport.deliver('own', result)
    expect(errors).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
    await expect(transport.deliver('shared', result)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    isDown = false
    expect(await transport.deliver('shared', result, 2)).toBe('ack')
    expect((await reply).kind).toBe('completed')
  })

  it('FM-D4 a completion that is lost on its way back is the same completion again', async () => {
    let isLost = true
    const clock = createFakeClock()
    const storeFaults = (call: string) => (call === 'complete' && isLost ? 'fail-after' : 'ok')
    const running = await openRunning({ clock, store: memoryStore({ clock }), storeFaults })
    const { transport, message, reply } = running
    const result = message()
    await expect(transport.deliver('shared', result)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    isLost = false
    expect(await transport.deliver('shared', result, 2)).toBe('ack')
    expect(await reply).toMatchObject({ kind: 'completed', event: { id: result.id } })
    expect(counted(running)).not.toHaveProperty('duplicate')
  })
})

describe('results: an answer that was sent to this gateway alone', () => {
  async function openDirect(options: WorldOptions['options'] = {}) {
    const clock = createFakeClock()
    const state = { isDown: true }
    const storeFaults = (call: string) => (call === 'complete' && state.isDown ? 'fail-before' : 'ok')
    const running = await openRunning({ clock, store: memoryStore({ clock }), storeFaults, options })
    const settled = { is: false }
    const deliver = async (message: EventMessage) => {
      void running.transport.deliver('own', message, { attempt: 1, isDirect: true }).then(() => {
        settled.is = true
      })
      await clock.advance(3000)
    }
    return { ...running, state, settled, deliver }
  }

  it('FM-D4 is recorded once the store can be reached again, and is not settled before', async () => {
    const { clock, state, settled, deliver, message, reply } = await openDirect()
    const result = message()
    await deliver(result)
    expect(settled.is).toBe(false)
    state.isDown = false
    await clock.advance(1500)
    expect(settled.is).toBe(true)
    expect(await reply).toMatchObject({ kind: 'completed', event: { id: result.id } })
  })

  it('is given up, and reported, when its operation is over', async () => {
    const { clock, settled, deliver, message, errors } = await openDirect({ operationTtlMs: 5000 })
    await deliver(message())
    expect([settled.is, errors.length]).toEqual([false, 0])
    await clock.advance(5000)
    expect(settled.is).toBe(true)
    expect(errors).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
  })

  it('does not hold up a close', async () => {
    const { clock, settled, deliver, message, gateway } = await openDirect()
    await deliver(message())
    const closed = gateway.close({ drainMs: 0 })
    await clock.advance(1000)
    await closed
    expect(settled.is).toBe(true)
  })
})

describe('results: the shared copy', () => {
  it('FM-C1 completes operations that nobody waits for', async () => {
    const running = await openRunning()
    const { reply, clock, transport, message, gateway, id } = running
    await clock.advance(10_020)
    expect((await reply).kind).toBe('accepted')
    expect(await transport.deliver('shared', message())).toBe('ack')
    expect(await gateway.operations.get(id)).toMatchObject({ state: 'succeeded', result: { type: 'Done' } })
    expect(counted(running)).toEqual({ created: 1, deferred: 1, completed: 1 })
  })

  it('Q16 PEER-T7 FM-A4 FM-C17 the first result stands; what comes then is counted', async () => {
    const running = await openRunning()
    const { transport, message, reply, gateway, id } = running
    const first = message()
    const contradiction = message({ type: 'NotDone' })
    for (const result of [first, first, message(), contradiction, contradiction]) {
      expect(await transport.deliver('shared', result)).toBe('ack')
    }
    expect((await reply).operation.result?.id).toBe(first.id)
    const operation = await gateway.operations.get(id)
    expect(operation).toMatchObject({ state: 'succeeded', version: 2, conflictingResult: { id: contradiction.id } })
    expect(counted(running)).toEqual({ created: 1, completed: 1, duplicate: 1, conflict: 1 })
  })

  it('PEER-T6 D20 a result after the end is kept as late', async () => {
    const running = await openRunning()
    const { transport, message, gateway, id, reply } = running
    await gateway.operations.cancel(id)
    expect((await reply).kind).toBe('ended')
    const late = message()
    for (const result of [late, late, message()]) await transport.deliver('shared', result)
    expect(await gateway.operations.get(id)).toMatchObject({ state: 'canceled', lateResult: { id: late.id } })
    expect(counted(running)).toMatchObject({ late: 1, duplicate: 1, completed: 1 })
  })

  it('FM-C16 looks an unknown id up a few times, then keeps the result as an orphan', async () => {
    const running = await openRunning()
    const { transport, message } = running
    const orphan = message({ correlationId: 'unknown', headers: { a: 'b' } })
    expect(await transport.deliver('shared', orphan, 1)).toBe('requeue')
    expect(await transport.deliver('shared', orphan, 2)).toBe('requeue')
    expect(await transport.deliver('shared', orphan, 3)).toBe('ack')
    const [kept] = await orphansOf(running)
    expect(kept).toMatchObject({ id: orphan.id, type: 'Done', correlationId: 'unknown', headers: { a: 'b' } })
    expect(Buffer.from(String(kept?.body), 'base64').toString()).toBe('{"n":1}')
    expect(counted(running)).toEqual({ created: 1, orphan: 1, pending: 1, open: 1 })
  })

  it('an orphan is kept for an hour', async () => {
    const running = await openRunning()
    await running.transport.deliver('shared', running.message({ correlationId: 'unknown' }), 3)
    await running.clock.advance(3_590_000)
    expect(await orphansOf(running)).toHaveLength(1)
    await running.clock.advance(11_000)
    expect(await orphansOf(running)).toEqual([])
  })

  it('FM-A13 keeps an undeclared type of a running operation as an orphan, and disturbs nothing', async () => {
    const running = await openRunning()
    const { transport, message, gateway, id } = running
    expect(await transport.deliver('shared', message({ type: 'Other' }))).toBe('ack')
    expect(await gateway.operations.get(id)).toMatchObject({ state: 'running' })
    expect(await orphansOf(running)).toMatchObject([{ type: 'Other' }])
    await transport.deliver('shared', message())
    expect(await transport.deliver('shared', message({ type: 'Other' }))).toBe('ack')
    expect(await orphansOf(running)).toHaveLength(1)
    expect(counted(running)).toMatchObject({ unexpected: 2, orphan: 1, completed: 1 })
  })

  it('FM-F11 reports an undeclared type once, and not more types than anybody would read of', async () => {
    const running = await openRunning()
    const { transport, message, errors } = running
    for (let time = 0; time < 2; time += 1) await transport.deliver('shared', message({ type: 'Other' }))
    const text = 'Other is no result of Ask; there are: Ask::Failed, Done, NotDone.'
    expect(errors).toMatchObject([{ code: 'ERR_UNEXPECTED_RESULT', message: text }])
    for (let count = 0; count < 200; count += 1) await transport.deliver('shared', message({ type: `Other${count}` }))
    expect(errors).toHaveLength(100)
    expect(counted(running).unexpected).toBe(202)
  })

  it('tells of one whose command this instance does not know', async () => {
    const running = await openRunning()
    const { store, transport, message, errors, request } = running
    const elsewhere = { ...message(), id: 'elsewhere', type: 'Tell' }
    await store.create({
      id: 'elsewhere',
      command: 'Tell',
      request: request ?? elsewhere,
      ttlMs: 1000,
      retentionMs: 1000,
    })
    await transport.deliver('shared', message({ correlationId: 'elsewhere' }))
    const text = 'Done is kept for an hour for an instance that has the command Tell, which this one has not.'
    expect(errors).toMatchObject([{ code: 'ERR_UNEXPECTED_RESULT', message: text }])
  })

  it('FM-C16 an orphan whose operation has come is recorded, and kept no longer', async () => {
    const running = await openRunning()
    const { gateway, store, transport, message, request, clock } = running
    const early = message({ correlationId: 'early' })
    await transport.deliver('shared', early, 3)
    await transport.deliver('shared', message({ correlationId: 'never' }), 3)
    await clock.advance(11_000)
    expect(await orphansOf(running)).toHaveLength(2)
    const shared = { command: 'Ask', request: request as EventMessage, ttlMs: 60_000, retentionMs: 60_000 }
    await store.create({ id: 'early', ...shared })
    await clock.advance(6000)
    expect(await gateway.operations.get('early')).toMatchObject({
      state: 'succeeded',
      result: { id: early.id, body: early.body },
    })
    expect(await orphansOf(running)).toMatchObject([{ correlationId: 'never' }])
    expect(counted(running)).toMatchObject({ orphan: 2, completed: 1 })
  })

  it('FM-D14 what an older instance got of a command that it does not have an instance that has it records', async () => {
    const running = await openRunning()
    const { store, clock, message, request } = running
    const shared = { command: 'Tell', ttlMs: 60_000, retentionMs: 60_000, request: request as EventMessage }
    for (const id of ['one', 'other']) await store.create({ id, ...shared })
    const results = [message({ correlationId: 'one', type: 'Told' }), message({ correlationId: 'other', type: 'Tld' })]
    for (const result of results) await running.transport.deliver('shared', result)
    await clock.advance(11_000)
    expect(await orphansOf(running)).toHaveLength(2)
    const newer = createGateway({ clock, store, transport: directTransport() })
    newer.command({ publish: 'Tell', outcomes: { Told: 'succeeded' } })
    await newer.start()
    await clock.advance(6000)
    expect(await newer.operations.get('one')).toMatchObject({ state: 'succeeded', result: { id: results[0]?.id } })
    // The type of the other one nobody declares.
    expect(await newer.operations.get('other')).toMatchObject({ state: 'running' })
    expect(await orphansOf(running)).toMatchObject([{ type: 'Tld' }])
    expect(newer.counters.orphan).toBe(0)
    await newer.close()
  })

  it('FM-P6 keeps as many of a command that it does not have as come, and one that has it records them all', async () => {
    const running = await openRunning()
    const { store, clock, message, request, transport } = running
    const ids = Array.from({ length: 1500 }, (_, at) => `op-${at}`)
    for (const id of ids) {
      await store.create({ id, command: 'Tell', ttlMs: 60_000, retentionMs: 60_000, request: request as EventMessage })
      // Again, as a broker may deliver it: it is kept once.
      for (let time = 0; time < 2; time += 1)
        expect(await transport.deliver('shared', message({ correlationId: id, type: 'Told' }))).toBe('ack')
    }
    expect(await orphansOf(running)).toHaveLength(1500)
    const newer = createGateway({ clock, store, transport: directTransport() })
    newer.command({ publish: 'Tell', outcomes: { Told: 'succeeded' } })
    await newer.start()
    await clock.advance(6000)
    expect(newer.counters.completed).toBe(1500)
    expect(await orphansOf(running)).toEqual([])
    await newer.close()
  })

  it('FM-P6 does not settle what may be a result of an operation before the store has taken it', async () => {
    const running = await openRunning()
    const { store, clock, transport, message, gateway } = running
    const put = vi.spyOn(store.records, 'put')
    put.mockRejectedValueOnce(new GatewayError('ERR_STORE_UNAVAILABLE', 'away'))
    let settlement: unknown
    void transport.deliver('shared', message({ type: 'Other' })).then((given) => {
      settlement = given
    })
    await clock.flush()
    expect([settlement, await orphansOf(running)]).toEqual([undefined, []])
    await clock.advance(1000)
    expect(settlement).toBe('ack')
    expect(await orphansOf(running)).toHaveLength(1)
    // What the store will not take the next time either is told, and stops nothing.
    put.mockRejectedValueOnce(new GatewayError('ERR_STORE_FULL', 'full'))
    expect(await transport.deliver('shared', message({ type: 'Another' }))).toBe('ack')
    expect(gateway.counters.error).toBe(3)
  })

  it('says so when more results than it keeps have ids of no operation', async () => {
    const running = await openRunning()
    const { transport, message, errors } = running
    for (let at = 0; at < 1010; at += 1) await transport.deliver('shared', message({ correlationId: `no-${at}` }), 3)
    expect(await orphansOf(running)).toHaveLength(1000)
    const text = expect.stringMatching(/^More than 1000 results in an hour have ids of no operation/)
    expect(errors).toMatchObject([{ code: 'ERR_UNEXPECTED_RESULT', message: text }])
  })

  it.each<[string, Partial<EventInit>]>([
    ['without an id', { correlationId: undefined, type: 'Done' }],
    ['with an id that is none', { correlationId: 'a b', type: 'Done' }],
    ['foreign in type and id', { correlationId: 'theirs', type: 'Other' }],
  ])('FM-A8 FM-C9 FM-F11 counts and settles a message %s, and never parks or requeues it', async (_, more) => {
    const running = await openRunning()
    expect(await running.transport.deliver('shared', running.message(more))).toBe('ack')
    expect(counted(running)).toEqual({ created: 1, foreign: 1, pending: 1, open: 1 })
    expect(await orphansOf(running)).toEqual([])
  })

  it('FM-C9 a foreign message with an id costs one look into the store', async () => {
    const looks: string[] = []
    const storeFaults = (call: string) => {
      looks.push(call)
      return 'ok' as const
    }
    const { transport, message } = await openRunning({ storeFaults })
    looks.length = 0
    await transport.deliver('shared', message({ correlationId: 'theirs', type: 'Other' }))
    expect(looks).toEqual(['get'])
  })
})

describe('results: bodies that cannot be used', () => {
  const events = {
    ...{ Ask: z.unknown(), NotDone: z.unknown(), Half: z.unknown(), Stop: z.unknown() },
    Done: z.object({ n: z.coerce.number() }),
  }

  it.each<[string, Partial<EventInit>, string]>([
    ['is no JSON', { body: Buffer.from('{') }, 'The result event Done cannot be used: it is not valid JSON.'],
    ['is empty', { body: Buffer.alloc(0) }, 'The result event Done cannot be used: it is not valid JSON.'],
    [
      'does not fit the schema',
      { data: { n: 'x' } },
      'The result event Done cannot be used: it does not match its schema.',
    ],
  ])('FM-C9 F13 a declared result that %s fails its operation', async (_, more, message) => {
    for (const kind of ['own', 'shared'] as const) {
      const running = await openRunning({ options: { events } as never })
      const bad = running.message(more)
      const settled = [await running.transport.deliver(kind, bad)]
      expect(await running.reply).toMatchObject({
        ...{ kind: 'ended', operation: { state: 'failed', error: { code: 'ERR_MALFORMED_RESULT', message } } },
      })
      // The other reader brings it too.
      settled.push(await running.transport.deliver(kind === 'own' ? 'shared' : 'own', bad))
      expect(settled).toContain('park')
      expect(counted(running)).toMatchObject({ malformed: 1, completed: 1 })
      expect(running.errors).toEqual([])
    }
  })

  it('FM-H23 says nothing of what the body was', async () => {
    const running = await openRunning()
    await running.transport.deliver('own', running.message({ body: Buffer.from('{"password":"secret"') }))
    expect(JSON.stringify((await running.reply).operation)).not.toContain('secret')
  })

  it('mappers get the data as they came, not what the schema made of them', async () => {
    const running = await openRunning({ options: { events } as never })
    await running.transport.deliver('own', running.message({ data: { n: '7', more: true } }))
    expect(await running.reply).toMatchObject({ event: { data: { n: '7', more: true } } })
  })

  it('also where the schema changes them in place', async () => {
    const fill = {
      version: 1,
      vendor: 'test',
      validate: (value: object) => ({ value: Object.assign(value, { n: 7 }) }),
    }
    const options = { events: { ...events, Done: { '~standard': fill } } } as never
    for (const more of [{}, { store: 'none' }]) {
      const running = await openRunning({ options: { ...(options as object), ...more } as never })
      await running.transport.deliver('own', running.message({ data: { n: '7' } }))
      expect(await running.reply).toMatchObject({ event: { data: { n: '7' } } })
    }
  })

  it('a schema may take its time', async () => {
    const slow = { ...events, Done: z.object({ n: z.number() }).refine(async ({ n }) => n > 0) }
    const asynchronous = {
      '~standard': {
        ...slow.Done['~standard'],
        validate: async (value: unknown) => slow.Done['~standard'].validate(value),
      },
    }
    for (const [n, kind] of [
      [1, 'completed'],
      [-1, 'ended'],
    ] as const) {
      const running = await openRunning({ options: { events: { ...slow, Done: asynchronous } } as never })
      await running.transport.deliver('own', running.message({ data: { n } }))
      expect((await running.reply).kind).toBe(kind)
    }
  })

  it('looks at a body once, though two readers bring it', async () => {
    let looks = 0
    const validate = (value: unknown) => {
      looks += 1
      return { value }
    }
    const Done = { '~standard': { version: 1, vendor: 'test', validate } }
    const running = await openRunning({ options: { events: { ...events, Done } } as never })
    const result = running.message()
    await running.transport.deliver('own', result)
    await running.transport.deliver('shared', result)
    expect(looks).toBe(1)
  })

  it('takes other content than JSON as bytes', async () => {
    const running = await openRunning()
    await running.transport.deliver('own', running.message({ body: Buffer.from([1, 2]), contentType: 'image/png' }))
    expect(await running.reply).toMatchObject({ event: { data: Buffer.from([1, 2]), contentType: 'image/png' } })
  })

  it('FM-H11 takes __proto__ for plain data', async () => {
    const running = await openRunning()
    await running.transport.deliver('own', running.message({ body: Buffer.from('{"__proto__":{"isAdmin":true}}') }))
    const reply = await running.reply
    expect(reply.kind === 'completed' && (reply.event.data as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })
})

const UNCHECKED = { Ask: z.unknown(), Done: z.unknown(), NotDone: z.unknown(), Stop: z.unknown() }

describe('results: progress', () => {
  function progress(sequence: number, percent: number): Partial<EventInit> {
    return { type: 'Half', data: { percent }, headers: { [SEQUENCE_HEADER]: String(sequence) } }
  }

  it('FM-A12 ends no wait, and only the latest is kept', async () => {
    const running = await openRunning()
    const { transport, message, gateway, id } = running
    for (const event of [message(progress(2, 50)), message(progress(1, 25)), message(progress(3, 75))]) {
      await transport.deliver('own', event)
      await transport.deliver('shared', event)
    }
    const operation = await gateway.operations.get(id)
    expect(operation).toMatchObject({ state: 'running', version: 3, progress: { sequence: 3 } })
    expect(counted(running)).toMatchObject({ progress: 2, pending: 1 })
    await transport.deliver('own', message())
    expect((await running.reply).kind).toBe('completed')
    await transport.deliver('shared', message(progress(4, 99)))
    expect((await gateway.operations.get(id))?.version).toBe(4)
  })

  it('reaches those who wait for any change', async () => {
    const { transport, message, gateway, id } = await openRunning()
    const waiting = gateway.operations.wait(id, { seenVersion: 1 })
    await Promise.resolve()
    await transport.deliver('shared', message({ type: 'Ask::Progress', data: {} }))
    expect(await waiting).toMatchObject({ version: 2, progress: { sequence: 1 } })
  })

  it.each<[string, Partial<EventInit>]>([
    ['no JSON', { body: Buffer.from('{') }],
    ['more than one JSON text', { body: Buffer.from('1,"status":"succeeded"') }],
    ['not what its schema says', { data: { percent: 'half' } }],
  ])('FM-H24 whose data are %s is dropped, as clients are shown them', async (_, more) => {
    const events = { Half: z.object({ percent: z.number() }), ...UNCHECKED }
    const running = await openRunning({ options: { events } as never })
    for (const kind of ['own', 'shared'] as const)
      await running.transport.deliver(kind, running.message({ type: 'Half', ...more }))
    expect(await running.gateway.operations.get(running.id)).toMatchObject({ version: 1, progress: undefined })
    expect(counted(running)).toEqual({ created: 1, malformed: 1, pending: 1, open: 1 })
  })

  it('of an unknown operation it is forgotten', async () => {
    const running = await openRunning()
    expect(
      await running.transport.deliver('shared', running.message({ ...progress(1, 1), correlationId: 'theirs' })),
    ).toBe('ack')
    expect(counted(running)).not.toHaveProperty('progress')
  })
})

describe('results: types that several commands share', () => {
  async function openShared() {
    const clock = createFakeClock()
    const transport = directTransport()
    const store = memoryStore({ clock })
    const world = await openWorld({ clock, transport, store, isStarted: false })
    const tell = world.gateway.command({ publish: 'Stop', outcomes: { Done: 'failed', Half: 'succeeded' } })
    await world.gateway.start()
    const replies = { ask: world.ask.request({ n: 1 }), tell: tell.request({ id: 'x' }) }
    await clock.flush()
    const [asked, told] = transport.published as [EventMessage, EventMessage]
    return { ...world, clock, transport, store, replies, asked, told }
  }

  it('PEER-T9 each operation is ended by what its own command makes of the type', async () => {
    const { transport, replies, asked, told, clock } = await openShared()
    await transport.deliver('own', resultOf(told, clock))
    await transport.deliver('shared', resultOf(asked, clock))
    expect(await replies.ask).toMatchObject({ operation: { command: 'Ask', state: 'succeeded' } })
    expect(await replies.tell).toMatchObject({ operation: { command: 'Stop', state: 'failed' } })
  })

  it('FM-P8 a type of another command ends nothing, and is kept as an orphan', async () => {
    const shared = await openShared()
    const { transport, gateway, asked, clock, store } = shared
    const wrong = resultOf(asked, clock, { type: 'Stop::Failed' })
    await transport.deliver('own', wrong)
    expect(await transport.deliver('shared', wrong)).toBe('ack')
    expect(await gateway.operations.get(asked.id)).toMatchObject({ state: 'running' })
    expect(gateway.counters).toMatchObject({ unexpected: 1, orphan: 1, completed: 0 })
    expect(await store.records.list('orphan/')).toHaveLength(1)
  })

  it('what is progress of one command and a result of another one is never lost as a result', async () => {
    const { transport, gateway, told, clock } = await openShared()
    expect(await transport.deliver('shared', resultOf(told, clock, { type: 'Half' }))).toBe('ack')
    expect(await gateway.operations.get(told.id)).toMatchObject({ state: 'succeeded' })
  })
})

describe("results: store 'none'", () => {
  it('has no shared reader, and no progress', async () => {
    const running = await openRunning({ store: 'none' })
    expect(await running.transport.deliver('shared', running.message())).toBeUndefined()
    await running.transport.deliver('own', running.message({ type: 'Half' }))
    await running.transport.deliver('own', running.message({ body: Buffer.from('{') }))
    expect(await running.reply).toMatchObject({ kind: 'ended', operation: { error: { code: 'ERR_MALFORMED_RESULT' } } })
    expect(counted(running)).toEqual({ created: 1, completed: 1, malformed: 1 })
  })
})
