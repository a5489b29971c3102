import { describe, expect, it } from 'vitest'
import { toMessage } from '../../../src/core/event.js'
import { memoryStore } from '../../../src/stores/memory/index.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { type Fault, faultyStore, faultyTransport } from '../../../src/testing/faulty.js'
import { memoryTransport } from '../../../src/transports/memory/index.js'

const clock = createFakeClock()
const event = toMessage({ type: 'Done', source: 'test' }, clock)
const ending = { state: 'succeeded', result: event, command: 'Do' } as const
const OPERATION = { id: '1', command: 'Do', request: event, ttlMs: 1000, retentionMs: 1000 }

async function stores(fault: Fault | Promise<unknown>) {
  const real = memoryStore({ clock })
  await real.start()
  await real.create(OPERATION)
  const calls: string[] = []
  const faulty = faultyStore(real, (call) => {
    calls.push(call)
    return call === 'complete' || call === 'records.put' ? fault : 'ok'
  })
  return { real, faulty, calls }
}

/** Whether a promise settles within the work that is waiting. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const note = (): void => {
    settled = true
  }
  promise.then(note, note)
  await clock.flush()
  return settled
}

describe('a faulty store', () => {
  it.each([
    ['fail-before', 'running'],
    ['fail-after', 'succeeded'],
  ] as const)('%s: rejects, and the operation is %s', async (fault, state) => {
    const { real, faulty } = await stores(fault)
    await expect(faulty.complete('1', ending)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect((await real.get('1'))?.state).toBe(state)
  })

  it.each([
    ['hang', 'running'],
    ['hang-after', 'succeeded'],
  ] as const)('%s: never settles, and the operation is %s', async (fault, state) => {
    const { real, faulty } = await stores(fault)
    expect(await settles(faulty.complete('1', ending))).toBe(false)
    expect((await real.get('1'))?.state).toBe(state)
  })

  it('holds a call back until its gate resolves, and then does as the gate says', async () => {
    let open: (fault?: Fault) => void = () => {}
    const { real, faulty } = await stores(new Promise((resolve) => (open = resolve)))
    const call = faulty.complete('1', ending)
    expect(await settles(call)).toBe(false)
    expect((await real.get('1'))?.state).toBe('running')
    open('fail-after')
    await expect(call).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect((await real.get('1'))?.state).toBe('succeeded')
  })

  it('passes everything else on, the records too, and names each call', async () => {
    const { real, faulty, calls } = await stores('fail-before')
    expect(faulty.name).toBe('memory')
    expect(['watch' in faulty, 'nothing' in faulty]).toEqual([true, false])
    expect((await faulty.get('1'))?.id).toBe('1')
    const write = { key: 'a', value: Buffer.from('a') }
    await expect(faulty.records.put(write)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(await faulty.records.get('a')).toBeUndefined()
    expect(calls).toEqual(['get', 'records.put', 'records.get'])
    expect(await real.records.list('')).toEqual([])
  })
})

describe('a faulty transport', () => {
  async function transports(faults: Record<string, Fault>) {
    const real = memoryTransport({ clock })
    const calls: string[] = []
    const faulty = faultyTransport(real, (call, args) => {
      calls.push(`${call}/${args.length}`)
      return faults[call] ?? 'ok'
    })
    await faulty.start()
    const seen: number[] = []
    const reading = { kind: 'shared', group: 'g' } as const
    const reader = await faulty.subscribe({ channel: 'results', types: ['Done'], reading }, async (_, { attempt }) => {
      seen.push(attempt)
      return 'ack'
    })
    return { real, faulty, reader, seen, calls }
  }

  it('that refuses a publish says that nothing was sent', async () => {
    const { faulty, seen } = await transports({ publish: 'fail-before' })
    const call = faulty.publish(event, { channel: 'results' })
    await expect(call).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    await clock.flush()
    expect(seen).toEqual([])
  })

  it('FM-B3 that loses a confirm says that it is not known', async () => {
    const { faulty, seen } = await transports({ publish: 'fail-after' })
    const call = faulty.publish(event, { channel: 'results' })
    await expect(call).rejects.toMatchObject({ code: 'ERR_PUBLISH_UNCONFIRMED' })
    await clock.flush()
    expect(seen).toEqual([1])
  })

  it('FM-C17 that loses a settlement delivers again', async () => {
    const faults: Record<string, Fault> = { deliver: 'fail-after' }
    const { faulty, seen } = await transports(faults)
    await faulty.publish(event, { channel: 'results' })
    await clock.flush()
    faults['deliver'] = 'fail-before'
    await clock.advance(10)
    faults['deliver'] = 'ok'
    await clock.advance(20)
    expect(seen).toEqual([1, 3])
  })

  it('names the calls, those of its readers too', async () => {
    const { real, faulty, reader, calls } = await transports({ 'reader.close': 'fail-after' })
    await expect(reader.close()).rejects.toMatchObject({ code: 'ERR_PUBLISH_UNCONFIRMED' })
    await reader.caughtUp
    expect(faulty.parked).toEqual(real.parked)
    expect(calls).toEqual(['start/0', 'subscribe/2', 'reader.close/0'])
  })
})
