import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { type EventMessage, toMessage } from '../../../src/core/event.js'
import { Fifo } from '../../../src/core/fifo.js'
import type { Delivery, MessageHandler, Reading, Settlement } from '../../../src/core/transport.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { type MemoryTransportOptions, memoryTransport } from '../../../src/transports/memory/index.js'

const clock = createFakeClock()

function event(type: string, key?: string): EventMessage {
  return toMessage({ type, source: 'test', key }, clock)
}

async function setup(options: MemoryTransportOptions = {}) {
  const transport = memoryTransport({ clock, ...options })
  await transport.start()
  const read = (reading: Reading, handle: MessageHandler = async () => 'ack', types = ['Done']) =>
    transport.subscribe({ channel: 'results', types, reading }, handle)
  const work = (handle: MessageHandler, { types = ['Do'], concurrency = 16, group = 'workers' } = {}) =>
    transport.subscribe({ channel: 'requests', types, reading: { kind: 'shared', group, concurrency } }, handle)
  const ask = (type = 'Do', key?: string) => transport.publish(event(type, key), { channel: 'requests' })
  const answer = (type = 'Done', key?: string) => transport.publish(event(type, key), { channel: 'results' })
  return { transport, read, work, ask, answer }
}

/** A handler that notes the keys of what it gets. */
function recorder(seen: string[], settlement: Settlement = 'ack'): MessageHandler {
  return async ({ key }) => {
    seen.push(key ?? '')
    return settlement
  }
}

describe('a group', () => {
  it('hands messages to its members in turn', async () => {
    const { work, ask } = await setup()
    const seen: string[][] = [[], [], []]
    for (const list of seen) await work(recorder(list))
    for (const key of ['1', '2', '3', '4', '5', '6', '7']) {
      await ask('Do', key)
      await clock.flush()
    }
    expect(seen).toEqual([
      ['1', '4', '7'],
      ['2', '5'],
      ['3', '6'],
    ])
  })

  it('gives each member the types that it asked for, in the order in which they came', async () => {
    const { work, ask } = await setup()
    const both: string[] = []
    const one: string[] = []
    await (await work(async () => 'ack', { types: ['A', 'B', 'C'] })).close()
    for (const [type, key] of ['A1', 'B1', 'C1', 'B2', 'A2', 'C2'].map((text) => [text.charAt(0), text]))
      await ask(type, key)
    await work(recorder(both), { types: ['B', 'A'] })
    await clock.flush()
    expect(both).toEqual(['A1', 'B1', 'B2', 'A2'])
    await work(recorder(one), { types: ['C'] })
    await clock.flush()
    expect(one).toEqual(['C1', 'C2'])
  })

  it('does not let a type without a member hold up the others', async () => {
    const { work, ask } = await setup()
    const seen: string[] = []
    await work(() => new Promise(() => {}), { types: ['Slow'], concurrency: 1 })
    await work(recorder(seen), { types: ['Quick'], concurrency: 1 })
    for (const type of ['Slow', 'Slow', 'Quick']) await ask(type, type)
    await clock.flush()
    expect(seen).toEqual(['Quick'])
  })

  it('tries again after 10 ms, doubling up to one second', async () => {
    const { work, ask } = await setup()
    const times: number[] = []
    const deliveries: Delivery[] = []
    await work((_, delivery) => {
      times.push(clock.monotonic())
      deliveries.push(delivery)
      return Promise.reject(new Error('no'))
    })
    await ask()
    await clock.advance(3500)
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 640, 1000, 1000])
    expect(deliveries.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  it('keeps what waits to be tried again while all are gone, and while the transport is closed', async () => {
    const { transport, work, ask } = await setup()
    await work(async () => 'requeue')
    await ask('Do', 'kept')
    await clock.flush()
    await transport.close()
    await clock.advance(10)
    await transport.start()
    const seen: string[] = []
    await work(recorder(seen))
    await clock.flush()
    expect(seen).toEqual(['kept'])
  })

  it('keeps the newest parked messages', async () => {
    const { transport, work, ask } = await setup({ maxParked: 2 })
    await work(async () => 'park', { group: 'g' })
    for (const key of ['1', '2', '3']) await ask('Do', key)
    await clock.flush()
    expect(transport.parked.map(({ message, group }) => [message.key, group])).toEqual([
      ['2', 'g'],
      ['3', 'g'],
    ])
  })

  it('parks what a group parks, not what an own reader or a replay does not want', async () => {
    const { transport, read, answer } = await setup()
    const seen: string[] = []
    await read({ kind: 'own' }, recorder(seen, 'park'))
    await read({ kind: 'replay', from: 'beginning' }, recorder(seen, 'park'))
    await answer('Done', '1')
    await clock.flush()
    expect(seen).toEqual(['1', '1'])
    expect(transport.parked).toEqual([])
  })

  it.each(['requests', 'results'] as const)(
    'refuses more unsettled %s than it may hold, and takes them again',
    async (channel) => {
      const { transport, work, read, ask, answer } = await setup({ maxQueued: 2 })
      const publish = channel === 'requests' ? () => ask() : () => answer()
      const settle: ((settlement: Settlement) => void)[] = []
      const handle = () => new Promise<Settlement>((resolve) => settle.push(resolve))
      await (channel === 'requests' ? work(handle) : read({ kind: 'shared', group: 'g' }, handle))
      await publish()
      await clock.flush()
      await publish()
      await expect(publish()).rejects.toMatchObject({
        code: 'ERR_PUBLISH_REJECTED',
        details: { outcome: 'not-accepted' },
      })
      settle[0]?.('ack')
      await clock.flush()
      await publish()
      await clock.flush()
      expect(settle.length).toBe(3)
      expect(transport.parked).toEqual([])
    },
  )

  it('has caught up only when another member has settled what it has', async () => {
    const { work, ask } = await setup()
    let settle: (settlement: Settlement) => void = () => {}
    await work(() => new Promise<Settlement>((resolve) => (settle = resolve)), { concurrency: 1 })
    await ask()
    await clock.flush()
    const { caughtUp } = await work(async () => 'ack')
    const reached = vi.fn()
    void caughtUp.then(reached)
    await ask()
    await ask()
    await clock.flush()
    expect(reached).not.toHaveBeenCalled()
    settle('ack')
    await clock.flush()
    expect(reached).toHaveBeenCalledOnce()
  })

  it('FM-C9 survives handlers that settle with nonsense', async () => {
    const { work, ask } = await setup()
    const seen: string[] = []
    const nonsense: unknown[] = [null, 0, {}, [], 'what', Promise.resolve(null)]
    await work((({ key }) => {
      seen.push(key ?? '')
      return nonsense[Number(key)]
    }) as MessageHandler)
    for (const key of nonsense.keys()) await ask('Do', String(key))
    await clock.advance(5000)
    expect(seen).toEqual(nonsense.map((_, index) => String(index)))
  })

  it.each([1, 3, 6000])('goes through a long queue when every %sth handler takes its time', async (every) => {
    const { work, ask } = await setup()
    await (await work(async () => 'ack')).close()
    for (let count = 0; count < 5000; count += 1) await ask()
    let seen = 0
    const handle: MessageHandler = async () => {
      seen += 1
      if (seen % every === 0) await new Promise<void>((resolve) => clock.setImmediate(resolve))
      return 'ack'
    }
    await work(handle, { concurrency: 1 })
    await clock.flush()
    expect(seen).toBe(5000)
  })
})

describe('a turn', () => {
  it('of the event loop is hopped over once for all messages that it publishes', async () => {
    const hop = vi.fn(clock.setImmediate)
    const { read, answer } = await setup({ clock: { ...clock, setImmediate: hop } })
    const seen: string[] = []
    await read({ kind: 'own' }, recorder(seen))
    await clock.flush()
    hop.mockClear()
    for (let count = 0; count < 100; count += 1) void answer()
    expect(seen).toEqual([])
    await clock.flush()
    expect(seen.length).toBe(100)
    expect(hop).toHaveBeenCalledOnce()
  })

  it('of messages that cause each other does not keep timers waiting', async () => {
    const { read, answer } = await setup({ clock: systemClock })
    let running = true
    await read({ kind: 'own' }, async () => {
      if (running) void answer()
      return 'ack'
    })
    await answer()
    await new Promise<void>((resolve) => setTimeout(resolve, 5))
    running = false
  })
})

describe('an own reader', () => {
  it('of requests gets a copy, and does not make them routable', async () => {
    const { transport, work, ask } = await setup()
    const seen: string[] = []
    const reading = { kind: 'own' } as const
    const tap = await transport.subscribe({ channel: 'requests', types: ['Do', 'Do'], reading }, recorder(seen))
    await expect(ask()).rejects.toMatchObject({ code: 'ERR_PUBLISH_REJECTED' })
    await work(async () => 'ack')
    await ask('Do', 'copied')
    await clock.flush()
    expect(seen).toEqual(['copied'])
    await tap.close()
    await ask('Do', 'later')
    await clock.flush()
    expect(seen).toEqual(['copied'])
  })

  it('may close itself in its handler', async () => {
    const { read, answer } = await setup()
    const seen: string[] = []
    const reader = await read({ kind: 'own' }, async ({ key }) => {
      seen.push(key ?? '')
      void reader.close()
      return 'ack'
    })
    await Promise.all([answer('Done', '1'), answer('Done', '2')])
    await clock.flush()
    expect(seen).toEqual(['1'])
  })
})

describe('a replay', () => {
  const beginning = { kind: 'replay', from: 'beginning' } as const

  it('from a beginning that is no longer kept is refused', async () => {
    const { read, answer } = await setup({ maxLog: 2 })
    const positions: string[] = []
    const noting: MessageHandler = async (_, { position = '' }) => void positions.push(position)
    const reader = await read(beginning, noting)
    for (const key of ['1', '2', '3']) await answer('Done', key)
    await clock.flush()
    await reader.close()
    await expect(read(beginning)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('maxLog'),
    })
    const [first = '', second = ''] = positions
    const seen: string[] = []
    await read({ kind: 'replay', from: { after: first } }, recorder(seen))
    await clock.flush()
    expect(seen).toEqual(['2', '3'])
    await answer('Done', '4')
    await expect(read({ kind: 'replay', from: { after: first } })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await read({ kind: 'replay', from: { after: second } })
  })

  it('from a position of another process, whose log is gone, is refused', async () => {
    const [one, other] = [await setup(), await setup()]
    for (const { answer } of [one, other]) for (const key of ['1', '2', '3']) await answer('Done', key)
    const positions: string[] = []
    await one.read(beginning, async (_, { position = '' }) => void positions.push(position))
    await clock.flush()
    const reading = { kind: 'replay', from: { after: positions[1] ?? '' } } as const
    await one.read(reading)
    await expect(other.read(reading)).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })

  it.each(['', 'x', '-1', '1.5', '99', ' 1', '1e1'])(
    'from position %j, which was never given out, is refused',
    async (after) => {
      const { read, answer } = await setup()
      await answer()
      await expect(read({ kind: 'replay', from: { after } })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    },
  )

  it('of requests is refused', async () => {
    const { transport } = await setup()
    const call = transport.subscribe({ channel: 'requests', types: ['Do'], reading: beginning }, async () => 'ack')
    await expect(call).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })

  it('stands still until a failed message is handled, and pauses longer each time', async () => {
    const { read, answer } = await setup()
    const times: number[] = []
    const seen: string[] = []
    await read(beginning, async ({ key }, { attempt }) => {
      seen.push(`${key}.${attempt}`)
      times.push(clock.monotonic())
      return key === '1' && attempt < 4 ? 'requeue' : 'ack'
    })
    await answer('Done', '1')
    await answer('Done', '2')
    await clock.advance(100)
    expect(seen).toEqual(['1.1', '1.2', '1.3', '1.4', '2.1'])
    expect(times.map((time) => time - (times[0] ?? 0))).toEqual([0, 10, 30, 70, 70])
  })

  it('that falls too far behind ends instead of leaving a gap, and says so', async () => {
    const { read, answer } = await setup({ maxQueued: 3 })
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue()
    await answer('Done', 'past')
    const seen: string[] = []
    const { caughtUp } = await read(beginning, ({ key }) => {
      seen.push(key ?? '')
      return new Promise<Settlement>(() => {})
    })
    for (const key of ['1', '2', '3', '4', '5']) await answer('Done', key)
    await expect(caughtUp).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await clock.flush()
    expect(warned).toHaveBeenCalledOnce()
    warned.mockRestore()
    expect(seen).toEqual([])
  })

  it('that is closed early has not caught up', async () => {
    const { read, answer } = await setup()
    await answer()
    const reader = await read(beginning)
    await reader.close()
    await expect(reader.caughtUp).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('a memory transport', () => {
  it('FM-F1 lets go of the messages that are settled', async () => {
    const { work, ask, transport } = await setup()
    await work(async () => 'ack')
    const first = new WeakRef(event('Do'))
    for (let count = 0; count < 3000; count += 1) {
      await transport.publish(count === 0 ? (first.deref() ?? event('Do')) : event('Do'), { channel: 'requests' })
    }
    await clock.flush()
    await ask()
    await collectGarbage()
    expect(first.deref()).toBeUndefined()
  })

  it.each([
    ['maxQueued', -1],
    ['maxLog', 1.5],
    ['maxParked', Number.NaN],
  ])('refuses %s = %s', (name, value) => {
    expect(() => memoryTransport({ [name]: value })).toThrowError(new RegExp(`${name}.*not ${value}`))
  })

  it.each([
    [{ x: 1 }, /memoryTransport\(\) has no option "x"; there are: clock, maxLog, maxParked, maxQueued/],
    [5, /the options of memoryTransport\(\) is 5; allowed is an object/],
  ])('refuses %j as options', (options, message) => {
    expect(() => memoryTransport(options as object)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }),
    )
  })

  it('closed more often than started stays as it is', async () => {
    const { transport } = await setup()
    await transport.close()
    await transport.close()
    await transport.start()
    await transport.check()
  })

  it('waits with its last close for all running handlers', async () => {
    const { transport, work, ask } = await setup()
    let settle: (settlement: Settlement) => void = () => {}
    await work(() => new Promise<Settlement>((resolve) => (settle = resolve)))
    await ask()
    await clock.flush()
    const closed = vi.fn()
    const closing = transport.close().then(closed)
    await clock.flush()
    expect(closed).not.toHaveBeenCalled()
    settle('ack')
    await closing
  })
})

describe('a fifo', () => {
  it('gives back in order what comes and goes, also beyond its compaction', () => {
    const fifo = new Fifo<number>()
    const plain: number[] = []
    for (let step = 0; step < 20_000; step += 1) {
      const action = (step * 7919) % 10
      if (action < 6) {
        fifo.push(step)
        plain.push(step)
      } else if (action < 7 && plain.length > 0) {
        const first = plain.shift() ?? 0
        expect(fifo.shift()).toBe(first)
        fifo.unshift(first)
        plain.unshift(first)
      } else expect(fifo.shift()).toBe(plain.shift())
    }
    expect(fifo.size).toBe(plain.length)
    expect(fifo.values()).toEqual(plain)
    while (plain.length > 0) expect(fifo.shift()).toBe(plain.shift())
    expect([fifo.size, fifo.first, fifo.shift()]).toEqual([0, undefined, undefined])
    fifo.unshift(1)
    expect(fifo.first).toBe(1)
  })
})

async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  // A WeakRef holds its target until the turn of the event loop in which it was read is over.
  await new Promise<void>((resolve) => setImmediate(resolve))
  runInNewContext('gc')()
}
