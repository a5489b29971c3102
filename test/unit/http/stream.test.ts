import { type HttpReply, memoryStore } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { httpSettingsOf } from '../../../src/http/settings.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { accept, jsonOf, openService, type Service, type ServiceOptions } from './support.js'

const STREAM = { headers: { accept: 'text/event-stream' } }

/** Reads a stream as it comes; `isOver` tells when it has ended. */
function readerOf({ stream }: HttpReply) {
  const state = { chunks: [] as string[], isOver: false }
  const reading = (async () => {
    for await (const chunk of stream ?? []) state.chunks.push(chunk)
    state.isOver = true
  })()
  return { state, reading }
}

async function openStream(init: ServiceOptions = {}, headers: Record<string, string> = {}) {
  const service = await openService(init)
  const path = await accept(service)
  const reply = await service.visit(path, { headers: { ...STREAM.headers, ...headers } })
  const reader = readerOf(reply)
  await service.clock.flush()
  return { ...service, ...reader, path, reply }
}

function idsOf(chunks: readonly string[]): string[] {
  return chunks.flatMap((chunk) => /^id: (.*)$/m.exec(chunk)?.[1] ?? [])
}

function streamsOf({ gateway }: Pick<Service, 'gateway'>): number {
  return httpSettingsOf(gateway).streams.size
}

describe('openStream', () => {
  it('sends how the operation stands, every change, and the end last', async () => {
    const service = await openStream()
    const { state, reply, answer } = service
    expect(reply).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      },
    })
    expect(streamsOf(service)).toBe(1)
    await answer('Make::Progress', { data: { percent: 50 } })
    expect(state.isOver).toBe(false)
    await answer('Made')
    await service.reading
    const [first = '', ...events] = state.chunks
    expect(first).toBe('retry: 2000\n\n')
    expect(idsOf(events)).toEqual(['1', '2', '3'])
    expect(events.every((event) => event.startsWith('event: status\n'))).toBe(true)
    const documents = events.map((event) => JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? ''))
    expect(documents).toMatchObject([
      { status: 'running' },
      { progress: { percent: 50 } },
      { status: 'succeeded', result: { id: 'a' } },
    ])
    expect(streamsOf(service)).toBe(0)
    expect(service.gateway.counters.pending).toBe(0)
  })

  it('FM-E18 leaves no timer behind, when it has ended and when the gateway has closed', async () => {
    const { clock, reading, answer, gateway, visit, path } = await openStream()
    await answer('Made')
    await reading
    const before = clock.pending
    for (let n = 0; n < 10; n += 1) await readerOf(await visit(path, STREAM)).reading
    expect(clock.pending).toBe(before)
    await gateway.close()
    expect(clock.pending).toBe(0)
  })

  it('is also at /events, for whoever asks for nothing else', async () => {
    const service = await openService()
    const path = await accept(service)
    expect((await service.visit(`${path}/events`)).stream).toBeDefined()
  })

  it('HEAD tells of it without opening it', async () => {
    const service = await openService()
    const path = await accept(service)
    const reply = await service.visit(`${path}/events`, { method: 'HEAD' })
    expect(reply.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect([reply.status, reply.stream, streamsOf(service)]).toEqual([200, undefined, 0])
  })

  it('L08 keeps a quiet connection open every 15 seconds', async () => {
    const { state, clock } = await openStream()
    await clock.advance(14_900)
    expect(state.chunks).toHaveLength(2)
    await clock.advance(150)
    expect(state.chunks.slice(2)).toEqual([':\n\n'])
    await clock.advance(15_050)
    expect(state.chunks.slice(2)).toEqual([':\n\n', ':\n\n'])
  })

  it('FM-H20 ends after its time, whereupon the client comes back', async () => {
    const service = await openStream({ options: { streamMs: 20_000 } })
    await service.clock.advance(19_900)
    expect(service.state.isOver).toBe(false)
    await service.clock.advance(200)
    expect(service.state.isOver).toBe(true)
    expect(streamsOf(service)).toBe(0)
  })

  it('a client that comes back gets what it has not seen', async () => {
    const same = await openStream({}, { 'last-event-id': '1' })
    expect(idsOf(same.state.chunks)).toEqual([])
    await same.answer('Made')
    expect(idsOf(same.state.chunks)).toEqual(['2'])
    const other = await openStream({}, { 'last-event-id': '0' })
    expect(idsOf(other.state.chunks)).toEqual(['1'])
  })

  it('one that has seen the end is told to stay away, another one gets it', async () => {
    const service = await openStream()
    await service.answer('Made')
    const again = { headers: { ...STREAM.headers, 'last-event-id': '2' } }
    expect(await service.visit(service.path, again)).toMatchObject({ status: 204 })
    const late = readerOf(await service.visit(service.path, STREAM))
    await late.reading
    expect(idsOf(late.state.chunks)).toEqual(['2'])
  })

  it('FM-H20 refuses more than there may be', async () => {
    const service = await openStream({ options: { maxStreams: 1 } })
    const refused = await service.visit(service.path, STREAM)
    expect([refused.status, jsonOf(refused).code]).toEqual([503, 'ERR_OVERLOADED'])
    await service.answer('Made')
    await service.reading
    expect((await service.visit(service.path, STREAM)).status).toBe(200)
  })

  it('FM-E18 a reader that stops leaves nothing behind', async () => {
    const service = await openService()
    const path = await accept(service)
    let leave: () => void = () => {}
    const reply = await service.visit(path, {
      ...STREAM,
      onGone: (listener) => {
        leave = listener
        return () => {}
      },
    })
    const iterator = reply.stream?.[Symbol.asyncIterator]()
    await iterator?.next()
    await iterator?.next()
    const waiting = iterator?.next()
    await service.clock.flush()
    expect([streamsOf(service), service.gateway.counters.pending]).toEqual([1, 1])
    leave()
    await waiting
    await iterator?.return?.()
    expect([streamsOf(service), service.gateway.counters.pending]).toEqual([0, 0])
  })

  it('FM-E10 ends when the gateway closes', async () => {
    const clock = createFakeClock()
    const service = await openStream({ clock, store: memoryStore({ clock }) })
    await service.gateway.close()
    await service.reading
    expect([service.state.isOver, streamsOf(service)]).toEqual([true, 0])
  })

  it('FM-D19 ends when somebody deletes the operation', async () => {
    const clock = createFakeClock()
    const store = memoryStore({ clock })
    const service = await openStream({ clock, store })
    store.get = async () => undefined
    await clock.advance(15_050)
    await service.reading
    expect(service.state.isOver).toBe(true)
  })
})
