import { memoryStore } from 'respond-async'
import { describe, expect, it, vi } from 'vitest'
import { type ErrorCode, GatewayError } from '../../../src/core/errors.js'
import { SEQUENCE_HEADER } from '../../../src/core/operation.js'
import { faultyStore } from '../../../src/testing/faulty.js'
import { brief, deferred, made, setup, withPublish } from './setup.js'

const HOUR_MS = 3_600_000

/** A worker whose broker takes no results while `away` is set, and how often it was asked. */
async function setupWith(options: Parameters<typeof setup>[0] = {}) {
  const state: { away: unknown; tries: number } = { away: unavailable('ERR_TRANSPORT_UNAVAILABLE'), tries: 0 }
  const world = await setup(options, (transport) =>
    withPublish(transport, async (message, to) => {
      state.tries += 1
      if (state.away !== undefined) throw state.away
      return transport.publish(message, to)
    }),
  )
  const handler = vi.fn(async () => made)
  world.worker.handle('Requested', handler)
  await world.worker.start()
  return { ...world, state, handler }
}

function unavailable(code: ErrorCode) {
  return new GatewayError(code, 'RabbitMQ takes no messages at the moment.')
}

describe('while the broker takes no results', () => {
  it.each<[string, unknown]>([
    ['is away', unavailable('ERR_TRANSPORT_UNAVAILABLE')],
    ['does not confirm', unavailable('ERR_PUBLISH_UNCONFIRMED')],
    ['does not take them for now', unavailable('ERR_PUBLISH_REJECTED')],
    ['fails in a way of its own', new Error('lost')],
  ])('FM-B8 the request is kept, and answered by what its one run has made: it %s', async (_, away) => {
    const { state, handler, told, results, broker, send, clock } = await setupWith()
    state.away = away
    await send()
    await clock.advance(HOUR_MS)
    expect(state.tries).toBeGreaterThan(3600)
    expect(handler).toHaveBeenCalledOnce()
    expect(told.error).toHaveLength(1)
    state.away = undefined
    await clock.advance(1000)
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect(handler).toHaveBeenCalledOnce()
    expect(told.handled).toHaveLength(1)
    expect([told.requeued, told.retry, broker.parked]).toEqual([[], [], []])
    expect(clock.pending).toBe(0)
  })

  it('FM-B8 what was taken of several results is not sent again', async () => {
    const { worker, results, send, clock } = await setup({}, (transport) => {
      let left = 2
      return withPublish(transport, async (message, to) => {
        if (message.type === 'NotMade' && left-- > 0) throw unavailable('ERR_TRANSPORT_UNAVAILABLE')
        return transport.publish(message, to)
      })
    })
    const last = { type: 'NotMade', data: { reason: 'twice' } } as const
    await worker.handle('Requested', () => [made, last]).start()
    await send()
    await clock.advance(1000)
    expect(results.map(({ type }) => type)).toEqual(['Made', 'NotMade'])
  })

  it('FM-B8 what is kept has its place: no more requests are worked on than the concurrency says', async () => {
    const { state, handler, send, clock } = await setupWith({ concurrency: 2 })
    for (let count = 0; count < 3; count += 1) await send()
    await clock.advance(60_000)
    expect(handler).toHaveBeenCalledTimes(2)
    state.away = undefined
    await clock.advance(1000)
    expect(handler).toHaveBeenCalledTimes(3)
  })

  it('FM-B8 a request that has failed is parked only when that is told', async () => {
    const { state, handler, told, results, broker, send, clock } = await setupWith({ retries: { attempts: 1 } })
    handler.mockRejectedValue(new Error('no') as never)
    await send()
    await clock.advance(HOUR_MS)
    expect([told.parked, told.requeued, broker.parked]).toEqual([[], [], []])
    state.away = undefined
    await clock.advance(1000)
    expect(results.map(({ type }) => type)).toEqual(['Requested::Failed'])
    expect(broker.parked).toHaveLength(1)
    expect(handler).toHaveBeenCalledOnce()
  })

  it('a close tries on for drainMs, and gives the request back then', async () => {
    const { state, worker, told, results, send, clock } = await setupWith()
    await send()
    await clock.advance(60_000)
    const closed = vi.fn()
    const closing = worker.close({ drainMs: 5000 }).then(closed)
    const before = state.tries
    await clock.advance(4999)
    expect(state.tries).toBeGreaterThan(before)
    expect(closed).not.toHaveBeenCalled()
    await clock.advance(1)
    await closing
    expect(told.requeued).toMatchObject([{ error: { code: 'ERR_TRANSPORT_UNAVAILABLE' } }])
    expect(told.error).toHaveLength(1)
    expect(results).toEqual([])
  })

  it('a close within drainMs of its return gives nothing back', async () => {
    const { state, worker, told, results, send, clock } = await setupWith()
    await send()
    const closing = worker.close()
    state.away = undefined
    await clock.advance(1000)
    await closing
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect(told.requeued).toEqual([])
    expect(clock.pending).toBe(0)
  })
})

describe('while the store of dedupe is away', () => {
  it.each(['records.get', 'records.put'])('FM-B8 the request waits for %s, and its handler runs once', async (call) => {
    let isAway = true
    const store = faultyStore(memoryStore(), (name) => (isAway && name === call ? 'fail-before' : 'ok'))
    const { worker, told, results, broker, send, clock } = await setup({ dedupe: { store } })
    const handler = vi.fn(() => made)
    await worker.handle('Requested', handler).start()
    await send()
    await clock.advance(HOUR_MS)
    expect(handler).toHaveBeenCalledTimes(call === 'records.put' ? 1 : 0)
    expect(results).toEqual([])
    expect(told.error).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
    isAway = false
    await clock.advance(1000)
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect(handler).toHaveBeenCalledOnce()
    expect([told.requeued, broker.parked]).toEqual([[], []])
  })

  it('a call under way at the end of the drain is given up', async () => {
    const gate = deferred<'ok'>()
    const store = faultyStore(memoryStore(), (name) => (name === 'records.put' ? gate.promise : 'ok'))
    const { worker, told, send, clock } = await setup({ dedupe: { store } })
    await worker.handle('Requested', () => made).start()
    await send()
    const closing = worker.close({ drainMs: 10 })
    await clock.advance(10)
    await closing
    expect(told.requeued).toMatchObject([{ error: { code: 'ERR_CLOSED' } }])
    expect(told.error).toEqual([])
    gate.resolve('ok')
  })

  it('what the store refuses for good gives the request back after a pause, as nothing is known of it', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(1)
    const get = vi.fn(() => Promise.reject(new GatewayError('ERR_CONFIG', 'The tables are missing.')))
    const store = { start: async () => {}, close: async () => {}, records: { ...memoryStore().records, get } }
    const { worker, told, send, clock } = await setup({ dedupe: { store }, retries: { backoffMs: 5000 } })
    const handler = vi.fn(() => made)
    await worker.handle('Requested', handler).start()
    await send()
    expect(told.requeued).toMatchObject([{ error: { code: 'ERR_CONFIG' } }])
    expect(told.error).toMatchObject([{ code: 'ERR_CONFIG' }])
    await clock.advance(4999)
    expect(get).toHaveBeenCalledOnce()
    await clock.advance(1000)
    expect(get).toHaveBeenCalledTimes(2)
    expect(handler).not.toHaveBeenCalled()
    await worker.close()
    random.mockRestore()
  })
})

describe('while a store or broker that the handler asks is away', () => {
  it.each(['ERR_STORE_UNAVAILABLE', 'ERR_TRANSPORT_UNAVAILABLE'] as const)(
    'FM-D1 no attempt is used up, and the request ends as it would have: %s',
    async (code) => {
      const { worker, told, results, broker, send, clock } = await setup()
      let away: unknown = new GatewayError(code, 'is away', { outcome: 'unknown' })
      let asked = 0
      worker.handle('Requested', async ({ progress }) => {
        asked += 1
        progress(asked)
        if (away !== undefined) throw away
        return made
      })
      await worker.start()
      await send()
      await clock.advance(HOUR_MS)
      expect(asked).toBeGreaterThan(HOUR_MS / 1000)
      expect(told.retry).toHaveLength(asked)
      away = undefined
      await clock.advance(1000)
      const types = results.map(({ type }) => type)
      expect([types.at(-1), types.includes('Requested::Failed'), broker.parked]).toEqual(['Made', false, []])
      const sequences = results.slice(0, -1).map(({ headers }) => Number(headers[SEQUENCE_HEADER]))
      expect(sequences).toEqual(sequences.map((_, index) => index + 1))
    },
  )

  it('other errors count all the same, in between and afterwards', async () => {
    const { worker, results, send, clock } = await setup({ retries: { attempts: 3, backoffMs: 0 } })
    const away = unavailable('ERR_STORE_UNAVAILABLE')
    const errors: unknown[] = [away, new Error('one'), away, away, new Error('two'), away, new Error('three')]
    const handler = vi.fn(async () => Promise.reject(errors.shift()))
    await worker.handle('Requested', handler).start()
    await send()
    await clock.advance(10_000)
    expect(handler).toHaveBeenCalledTimes(7)
    expect(results.map(({ type }) => type)).toEqual(['Requested::Failed'])
  })

  it('a worker that closes gives the request back', async () => {
    const { worker, told, results, broker, send, clock } = await setup()
    worker.handle('Requested', () => Promise.reject(unavailable('ERR_STORE_UNAVAILABLE')))
    await worker.start()
    await send()
    await clock.advance(5000)
    await worker.close()
    expect([told.requeued.length, results, broker.parked]).toEqual([1, [], []])
  })
})
