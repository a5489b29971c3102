import { cloudEvents, memoryStore, nest, spring } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/core/errors.js'
import { type EventInit, type EventMessage, toMessage } from '../../../src/core/event.js'
import type { ReplyNote } from '../../../src/core/profile.js'
import type { Store } from '../../../src/core/store.js'
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js'
import { type DirectTransport, directTransport, openWorld, type WorldOptions } from './support.js'

const VALUE: ReplyNote = { isLast: true, isEmpty: false }
const END: ReplyNote = { isLast: true, isEmpty: true }

interface Opened {
  readonly clock: FakeClock
  readonly transport: DirectTransport
  readonly store: Store
  readonly world: Awaited<ReturnType<typeof openWorld>>
  /** Publishes a request and gives its event. */
  ask(): Promise<EventMessage>
  /** What the worker answers, as the recorder and this gateway's own reader see it. */
  answer(init: Partial<EventInit>): Promise<unknown>
  ended(): Promise<{
    state: string | undefined
    type: string | undefined
    body: string | undefined
    error: string | undefined
  }>
}

async function open(
  command: WorldOptions['command'],
  how: { isDirect?: boolean; readers?: readonly ('own' | 'shared')[]; operationTtlMs?: number } = {},
): Promise<Opened> {
  const clock = createFakeClock()
  const transport = directTransport()
  const store = memoryStore({ clock })
  const world = await openWorld({
    clock,
    transport,
    store,
    ...(how.operationTtlMs && { options: { operationTtlMs: how.operationTtlMs } }),
    command: { profile: nest(), ...command },
  })
  let request: EventMessage | undefined
  return {
    clock,
    transport,
    store,
    world,
    async ask() {
      void world.ask.request({ n: 1 }).catch(() => {})
      await clock.flush()
      request = transport.published.at(-1)
      if (request === undefined) throw new Error('nothing was published')
      return request
    },
    async answer(init) {
      const message = toMessage(
        { type: '', source: 'worker', correlationId: request?.id, reply: VALUE, ...init },
        clock,
      )
      const got = (how.readers ?? ['own']).map((kind) =>
        transport.deliver(kind, message, { attempt: 1, isDirect: how.isDirect ?? true }),
      )
      await clock.flush()
      return Promise.race([Promise.all(got), Promise.resolve('waits')])
    },
    async ended() {
      const operation = await world.gateway.operations.get(request?.id ?? '')
      const { state, result, error } = operation ?? {}
      return { state, type: result?.type, body: result && Buffer.from(result.body).toString(), error: error?.code }
    },
  }
}

describe('an answer without a type', () => {
  it('of the worker of a profile is the one declared success', async () => {
    const { ask, answer, ended } = await open({})
    await ask()
    await answer({ body: Buffer.from('{"n":9007199254740993}') })
    expect(await ended()).toMatchObject({ state: 'succeeded', type: 'Done', body: '{"n":9007199254740993}' })
  })

  it('that refuses is the one declared failure, or the failure that every command has', async () => {
    const refused = { reply: { ...VALUE, failure: 'refused' as const }, data: { reason: 'no' } }
    const one = await open({})
    await one.ask()
    await one.answer(refused)
    expect(await one.ended()).toMatchObject({ state: 'failed', type: 'NotDone', body: '{"reason":"no"}' })
    const none = await open({ outcomes: { Done: 'succeeded' } as never })
    await none.ask()
    await none.answer(refused)
    expect(await none.ended()).toMatchObject({
      type: 'Ask::Failed',
      body: '{"reason":"refused","details":{"reason":"no"}}',
    })
  })

  it.each(['exception', 'unhandled'] as const)(
    'that is an %s is never taken for a declared failure',
    async (failure) => {
      const { ask, answer, ended } = await open({})
      await ask()
      await answer({ reply: { ...END, failure }, data: null })
      expect(await ended()).toMatchObject({ state: 'failed', type: 'Ask::Failed', body: `{"reason":"${failure}"}` })
    },
  )

  it('of a native worker is a mistake that is reported, and ends nothing', async () => {
    const { ask, answer, ended, world } = await open({ profile: undefined as never })
    await ask()
    await answer({ data: 1 })
    expect((await ended()).state).toBe('running')
    expect(world.errors.map(({ code }) => code)).toEqual(['ERR_UNEXPECTED_RESULT'])
  })

  it('INTEROP-S4 has the type that resultType says, or the one that its class has the name of', async () => {
    for (const [init, type] of [
      [{ data: { reason: 'no' } }, 'NotDone'],
      [{ data: { n: 1 } }, 'Done'],
      [{ type: 'com.example.Results$NotDone', reply: undefined, data: { n: 1 } }, 'NotDone'],
    ] as const) {
      const resultType = ({ data }: { data: unknown }) =>
        (data as { reason?: string }).reason ? ('NotDone' as const) : undefined
      const { ask, answer, ended } = await open({ profile: spring(), resultType })
      await ask()
      await answer(init)
      expect((await ended()).type).toBe(type)
    }
  })

  it('that resultType cannot read ends the operation as malformed, and the error is reported', async () => {
    const resultType = ({ data }: { data: unknown }) => (data as { a: { b: 'Done' } }).a.b
    const { ask, answer, ended, world } = await open({ resultType })
    await ask()
    await answer({ data: null })
    expect(await ended()).toMatchObject({ state: 'failed', error: 'ERR_MALFORMED_RESULT' })
    expect(world.errors.length).toBe(1)
  })

  it.each(['shared', 'own'] as const)(
    'FM-C9 that cannot be read ends the operation as malformed, and is parked by its recorder (%s copy first)',
    async (first) => {
      for (const command of [{}, { profile: spring() }]) {
        const { ask, ended, world, transport, clock } = await open(command)
        const { id } = await ask()
        // Sound JSON that says nothing of an event.
        const made = toMessage({ type: '', source: 'worker', correlationId: id, data: { n: 1 } }, clock)
        const message = { ...made, isUnreadable: true }
        for (const kind of first === 'own' ? (['own', 'shared'] as const) : (['shared', 'own'] as const))
          expect(await transport.deliver(kind, message)).toBe(kind === 'shared' ? 'park' : undefined)
        expect(await ended()).toMatchObject({ state: 'failed', error: 'ERR_MALFORMED_RESULT' })
        expect(world.errors).toEqual([])
      }
    },
  )

  it('FM-C9 that cannot be read, and has the type of something else, ends nothing', async () => {
    const { ask, ended, transport, clock } = await open({})
    const { id } = await ask()
    const made = toMessage({ type: 'Other', source: 'worker', correlationId: id, data: { n: 1 } }, clock)
    await transport.deliver('shared', { ...made, isUnreadable: true })
    expect((await ended()).state).toBe('running')
  })

  it('of another class than any declared one, or with another id, ends nothing', async () => {
    const { ask, answer, ended, world } = await open({ profile: cloudEvents() })
    await ask()
    await answer({ type: 'com.example.Other', reply: undefined })
    await answer({ correlationId: 'unknown', data: 1 })
    expect((await ended()).state).toBe('running')
    expect(world.noted).toContain('unexpected')
    expect(world.noted).toContain('foreign')
  })
})

describe('an answer of several values', () => {
  it('INTEROP-K8 by default the first one ends the operation, and what comes behind it changes nothing', async () => {
    const { ask, answer, ended, clock, world } = await open({}, { isDirect: false })
    await ask()
    // The end was on another partition, and is read first.
    await answer({ reply: END, data: null })
    expect((await ended()).state).toBe('running')
    await answer({ reply: { isLast: false, isEmpty: false }, data: { n: 1 } })
    await clock.advance(300)
    expect(await ended()).toMatchObject({ state: 'succeeded', type: 'Done', body: '{"n":1}' })
    expect(world.noted).not.toContain('duplicate')
  })

  it('INTEROP-K8 without any value is an empty success 250 ms after its end', async () => {
    const { ask, answer, ended, clock } = await open({}, { isDirect: false })
    await ask()
    await answer({ reply: END, data: null })
    await clock.advance(249)
    expect((await ended()).state).toBe('running')
    await clock.advance(2)
    expect(await ended()).toMatchObject({ state: 'succeeded', body: 'null' })
  })

  it.each([
    ['its own queue, in order', true, ['own']],
    ['a topic that all read, the end before the last value', false, ['own', 'shared']],
  ] as const)('makes a list of them, each of them progress: %s', async (_, isDirect, readers) => {
    const { ask, answer, ended, clock, world } = await open({ replies: 'many' }, { isDirect, readers })
    await ask()
    const value = (id: string, json: string) => ({
      id,
      reply: { isLast: false, isEmpty: false },
      body: Buffer.from(json),
    })
    await answer(value('1', '9007199254740993'))
    await clock.advance(1)
    if (!isDirect) await answer({ id: '9', reply: END, data: null })
    await answer(value('2', '2'))
    expect(world.gateway.counters.progress).toBeGreaterThan(0)
    if (isDirect) await answer({ id: '3', body: Buffer.from('2') })
    else await clock.advance(300)
    const list = isDirect ? '[9007199254740993,2,2]' : '[9007199254740993,2]'
    expect(await ended()).toMatchObject({ state: 'succeeded', type: 'Done', body: list })
  })

  it('FM-A14 values whose end never comes are progress, and no result in part', async () => {
    const { ask, answer, ended, clock, world } = await open({ replies: 'many' }, { operationTtlMs: 60_000 })
    await ask()
    for (const json of ['1', '2'])
      await answer({ id: json, reply: { isLast: false, isEmpty: false }, body: Buffer.from(json) })
    await clock.advance(30_000)
    expect(world.gateway.counters).toMatchObject({ progress: 2, deferred: 1, completed: 0 })
    expect(await ended()).toEqual({ state: 'running', type: undefined, body: undefined, error: undefined })
    await clock.advance(31_000)
    expect(await ended()).toMatchObject({ state: 'expired', body: undefined })
  })

  it('ends at the first failure, whatever values came before it', async () => {
    const { ask, answer, ended } = await open({ replies: 'many' })
    await ask()
    await answer({ reply: { isLast: false, isEmpty: false }, data: 1 })
    await answer({ reply: { ...VALUE, failure: 'refused' }, data: { reason: 'no' } })
    expect(await ended()).toMatchObject({ state: 'failed', type: 'NotDone' })
  })

  it('with a value that is no JSON is malformed', async () => {
    const { ask, answer, ended } = await open({ replies: 'many' })
    await ask()
    await answer({ reply: { isLast: false, isEmpty: false }, body: Buffer.from('{') })
    expect(await ended()).toMatchObject({ state: 'failed', error: 'ERR_MALFORMED_RESULT' })
  })
})

/** Makes a store refuse one value of a list until the test lets it in. */
function refuseValue({ store }: Opened, json: string, error = new GatewayError('ERR_STORE_UNAVAILABLE', 'away')) {
  const { records } = store
  const put = records.put.bind(records)
  const state = { isRefused: true, tries: 0 }
  records.put = (write) => {
    if (Buffer.from(write.value).toString() !== json || !state.isRefused) return put(write)
    state.tries += 1
    return Promise.reject(error)
  }
  return state
}

describe('a value that the store does not take', () => {
  const VALUES: ReplyNote = { isLast: false, isEmpty: false }
  const sent = ['1', '2', '3'].map((json) => ({ id: json, reply: VALUES, body: Buffer.from(json) }))
  const all = [...sent, { id: '4', reply: END, data: null }]

  it.each([
    ['its own queue', true, ['own']],
    ['the queue of the recorders', false, ['shared']],
    ['a topic that all read', false, ['own', 'shared']],
  ] as const)(
    'is tried again before the values behind it, and the end waits for it: %s',
    async (_, isDirect, readers) => {
      const opened = await open({ replies: 'many' }, { isDirect, readers })
      const { ask, answer, ended, clock } = opened
      await ask()
      const value = refuseValue(opened, '2')
      for (const one of all) {
        await answer(one)
        await clock.advance(1)
      }
      await clock.advance(3000)
      expect((await ended()).state).toBe('running')
      expect(value.tries).toBeGreaterThan(3)
      value.isRefused = false
      await clock.advance(1500)
      expect(await ended()).toMatchObject({ state: 'succeeded', body: '[1,2,3]' })
    },
  )

  it('costs the operation its success when it is not taken in its time, and the cause is reported', async () => {
    const opened = await open({ replies: 'many' }, { readers: ['own'], operationTtlMs: 20_000 })
    const { ask, answer, ended, clock, world } = opened
    await ask()
    refuseValue(opened, '2')
    for (const one of all) await answer(one)
    await clock.advance(30_000)
    expect(await ended()).toMatchObject({ state: 'expired' })
    expect(world.errors.map(({ message }) => message)).toEqual(['away'])
  })

  it('and never will fails the operation', async () => {
    const opened = await open({ replies: 'many' })
    await opened.ask()
    refuseValue(opened, '2', new GatewayError('ERR_INVALID_INPUT', 'too large'))
    for (const one of all) await opened.answer(one)
    expect(await opened.ended()).toMatchObject({ state: 'failed', error: 'ERR_MALFORMED_RESULT' })
  })

  it('is given back at a close, with all that is behind it', async () => {
    const opened = await open({ replies: 'many' })
    const { ask, transport, world, clock, store } = opened
    const { id: correlationId } = await ask()
    // It stays open for the instances that go on.
    await store.start()
    const value = refuseValue(opened, '2')
    const settled = all.map((one) =>
      transport.deliver('shared', toMessage({ type: '', source: 'worker', correlationId, ...one }, clock)).then(
        () => 'settled' as const,
        () => 'given back' as const,
      ),
    )
    await clock.advance(500)
    const closed = world.gateway.close({ drainMs: 0 })
    value.isRefused = false
    await clock.advance(2000)
    await closed
    expect(await Promise.all(settled)).toEqual(['settled', 'given back', 'given back', 'given back'])
    expect((await store.get(correlationId ?? ''))?.state).toBe('running')
  })
})

describe('the options of a command', () => {
  it.each([
    [{ profile: {} }, /profile of Ask/],
    [{ profile: 'nest' }, /profile of Ask/],
    [{ profile: { ...nest(), typeId: 'x' } }, /has no option "typeId"/],
    [{ profile: nest({ answers: 'never' as never }) }, /'reply' or 'event'/],
    [{ profile: nest({ pattern: '' }) }, /pattern of the profile/],
    [{ profile: spring({ typeId: '' }) }, /typeId of the profile/],
    [{ resultType: 'Done' }, /resultType of Ask/],
    [{ replies: 'some' }, /'one' or 'many'/],
  ])('are checked: %j', async (command, message) => {
    await expect(openWorld({ command: command as never })).rejects.toThrow(message)
  })

  it("replies: 'many' needs a store", async () => {
    await expect(
      openWorld({ store: 'none', options: { store: 'none' }, command: { replies: 'many' } }),
    ).rejects.toThrow(/needs a store/)
  })

  it('the profile goes with the request event, for whoever publishes it again', async () => {
    const { ask } = await open({ profile: nest({ pattern: { cmd: 'x' } }) })
    expect((await ask()).profile).toEqual({ name: 'nest', answers: 'reply', pattern: { cmd: 'x' } })
  })
})
