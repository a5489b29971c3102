import { describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../../src/core/clock.js'
import { createGateway, type Transport } from '../../../src/index.js'
import { memoryTransport } from '../../../src/memory.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

async function start(maxBodyBytes: number, more: Partial<Transport> = {}, clock: Clock = systemClock) {
  const transport = Object.assign(memoryTransport(), { maxBodyBytes, ...more })
  const gateway = createGateway({ transport, clock })
  const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
  await gateway.start()
  await transport.subscribe(
    { channel: 'requests', types: ['A::Asked'], reading: { kind: 'shared', group: 'workers' } },
    async () => 'ack',
  )
  return { gateway, command }
}

describe('a broker with a limit for bodies', () => {
  it('B13 a larger request is refused before anything is written', async () => {
    const { gateway, command } = await start(10)
    await expect(command.request('123456789')).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE', retryable: false })
    expect(gateway.counters).toMatchObject({ created: 0, open: 0, pending: 0 })
    await gateway.close()
  })

  it('counts by the type where the broker takes more of some types', async () => {
    const { gateway, command } = await start(5, { maxBodyBytesOf: () => 10 })
    await expect(command.request('123456789')).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    expect(await command.request('12345678', { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
    await gateway.close({ drainMs: 0 })
  })

  it('counts what the profile of a request adds to its body', async () => {
    const { gateway, command } = await start(10, { writtenBytesOf: ({ body }) => body.length + 1 })
    await expect(command.request('12345678')).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    expect(await command.request('1234567', { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
    await gateway.close({ drainMs: 0 })
  })

  it('FM-B13 one whose key or headers are too large is refused before anything is written', async () => {
    const excessOf: Transport['excessOf'] = ({ headers }) => (headers['a'] === undefined ? undefined : 'Far too much.')
    const { gateway, command } = await start(10, { excessOf })
    const refused = command.request('1', { headers: { a: 'b' } })
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_BODY_TOO_LARGE',
      message: expect.stringContaining('Far too much'),
    })
    expect(gateway.counters).toMatchObject({ created: 0, open: 0, pending: 0 })
    expect(await command.request('1', { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
    await gateway.close({ drainMs: 0 })
  })

  it('FM-B13 none is refused for its tracestate, which is left out where it does not fit', async () => {
    const excessOf: Transport['excessOf'] = ({ tracestate }) => (tracestate === undefined ? undefined : 'Far too much.')
    const { gateway, command } = await start(10, { excessOf })
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const { operation } = await command.request('1', { waitMs: 0, traceparent, tracestate: 'a=b' })
    expect(operation.request).toMatchObject({ tracestate: undefined, traceparent: expect.stringContaining('4bf92f') })
    await gateway.close({ drainMs: 0 })
  })

  it('one that just fits is taken', async () => {
    const { gateway, command } = await start(10)
    expect(await command.request('12345678', { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
    await gateway.close({ drainMs: 0 })
  })
})

describe('a broker that has to be asked for its limit', () => {
  const unasked = { code: 'ERR_TRANSPORT_UNAVAILABLE', details: { outcome: 'not-accepted' } }
  const nothing = { created: 0, open: 0, pending: 0 }

  it('B13 refuses the first request that is larger, too, before anything is written', async () => {
    let limit = Number.POSITIVE_INFINITY
    let learn = () => {}
    const learning = new Promise<void>((resolve) => {
      learn = () => {
        limit = 10
        resolve()
      }
    })
    const learnMaxBodyBytesOf = () => (limit === 10 ? undefined : learning)
    const { gateway, command } = await start(10, { maxBodyBytesOf: () => limit, learnMaxBodyBytesOf })
    const [large, small] = [command.request('123456789'), command.request('12345678', { waitMs: 0 })]
    expect(gateway.counters).toMatchObject(nothing)
    learn()
    await expect(large).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    expect(await small).toMatchObject({ kind: 'accepted' })
    expect(gateway.counters).toMatchObject({ created: 1 })
    await gateway.close({ drainMs: 0 })
  })

  it('that cannot be asked: the request is refused for certain, and its key is free', async () => {
    let learning: Promise<void> | undefined = Promise.reject(new Error('away'))
    const { gateway, command } = await start(10, { learnMaxBodyBytesOf: () => learning })
    const options = { waitMs: 0, idempotencyKey: 'one' }
    await expect(command.request('1', options)).rejects.toMatchObject(unasked)
    expect(gateway.counters).toMatchObject({ ...nothing, shed: 1 })
    learning = undefined
    expect(await command.request('1', options)).toMatchObject({ kind: 'accepted' })
    await gateway.close({ drainMs: 0 })
  })

  it('that says nothing: after the time-out of a publish, and after five of them nobody asks again', async () => {
    const clock = createFakeClock()
    let asked = 0
    const learnMaxBodyBytesOf = () => {
      asked += 1
      return new Promise<void>(() => {})
    }
    const { gateway, command } = await start(10, { learnMaxBodyBytesOf }, clock)
    const calls = Array.from({ length: 5 }, () => command.request('1', { waitMs: 0 }))
    const ends = Promise.allSettled(calls)
    await clock.advance(1100)
    for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: unasked })
    await expect(command.request('1', { waitMs: 0 })).rejects.toMatchObject(unasked)
    expect(asked).toBe(5)
    await gateway.close({ drainMs: 0 })
  })

  it('whose question is thrown at: the request is refused with it', async () => {
    const learnMaxBodyBytesOf = () => {
      throw new Error('No topic for this.')
    }
    const { gateway, command } = await start(10, { learnMaxBodyBytesOf })
    await expect(command.request('1', { waitMs: 0 })).rejects.toThrow('No topic for this.')
    expect(gateway.counters).toMatchObject(nothing)
    await gateway.close({ drainMs: 0 })
  })
})
