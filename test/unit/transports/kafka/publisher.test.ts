import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { ProduceError } from '../../../../src/transports/kafka/client.js'
import { Publisher } from '../../../../src/transports/kafka/publisher.js'
import type { OutgoingRecord } from '../../../../src/transports/profiles/kafka-wire.js'

interface Call {
  readonly topics: string[]
  readonly values: string[]
  resolve(): void
  reject(error: unknown): void
}

function setup(inFlight = 2) {
  const clock = createFakeClock()
  const calls: Call[] = []
  const produce = (records: readonly OutgoingRecord[]) =>
    new Promise<void>((resolve, reject) => {
      const topics = [...new Set(records.map(({ topic }) => topic))]
      calls.push({ topics, values: records.map(({ value }) => value.toString()), resolve, reject })
    })
  const refusals: string[] = []
  const refusedBy = (topic: string) => void refusals.push(topic)
  const publisher = new Publisher({ client: { produce }, clock, inFlight, refusedBy })
  const outcomes: Record<string, string> = {}
  const publish = (value: string, key?: string, topic = 't') => {
    const record = {
      topic,
      key: key === undefined ? null : Buffer.from(key),
      value: Buffer.from(value),
      headers: [],
    }
    publisher.publish(record).then(
      () => (outcomes[value] = 'taken'),
      (error: { code?: string }) => (outcomes[value] = error.code ?? 'unknown'),
    )
  }
  const values = () => calls.map((call) => call.values)
  return { clock, calls, values, publish, outcomes, refusals }
}

describe('a publisher', () => {
  it('sends all of one turn together, and what comes while calls are under way in the next one', async () => {
    const { clock, calls, values, publish, outcomes } = setup()
    for (const value of ['a', 'b', 'c']) publish(value)
    await clock.flush()
    publish('d')
    await clock.flush()
    publish('e')
    publish('f')
    await clock.flush()
    expect(values()).toEqual([['a', 'b', 'c'], ['d']])
    calls[1]?.resolve()
    await clock.flush()
    expect(values().at(-1)).toEqual(['e', 'f'])
    calls[0]?.resolve()
    calls[2]?.resolve()
    await clock.flush()
    expect(Object.values(outcomes)).toEqual(['taken', 'taken', 'taken', 'taken', 'taken', 'taken'])
  })

  it('FM-B12 has no key in two calls at once, and lets none overtake another', async () => {
    const { clock, calls, values, publish } = setup(5)
    publish('1', 'k')
    publish('2', 'k')
    await clock.flush()
    publish('3', 'k')
    publish('x', 'other')
    publish('4', 'k')
    await clock.flush()
    expect(values()).toEqual([['1', '2'], ['x']])
    calls[0]?.reject(new Error('the connection is lost'))
    await clock.flush()
    expect(values().at(-1)).toEqual(['3', '4'])
  })

  it('FM-B13 what was rejected in company is tried alone', async () => {
    const { clock, calls, values, publish, outcomes } = setup()
    for (const value of ['good', 'bad', 'fine']) publish(value)
    await clock.flush()
    calls[0]?.reject(new ProduceError('rejected', new Error('MESSAGE_TOO_LARGE')))
    await clock.flush()
    calls[1]?.resolve()
    await clock.flush()
    calls[2]?.reject(new ProduceError('rejected', new Error('MESSAGE_TOO_LARGE')))
    await clock.flush()
    calls[3]?.resolve()
    await clock.flush()
    expect(values()).toEqual([['good', 'bad', 'fine'], ['good'], ['bad'], ['fine']])
    expect(outcomes).toEqual({ good: 'taken', bad: 'ERR_PUBLISH_REJECTED', fine: 'taken' })
  })

  it('FM-B6 a topic that is gone refuses its own records, and those of others are written at once', async () => {
    const { clock, calls, values, publish, outcomes, refusals } = setup()
    const gone = new ProduceError('missing', new Error('Unknown topic gone.'))
    for (const n of [1, 2]) publish(`gone-${n}`, undefined, 'gone')
    for (const n of [1, 2]) publish(`there-${n}`, undefined, 'there')
    await clock.flush()
    calls[0]?.reject(gone)
    await clock.flush()
    expect(calls.slice(1).map(({ topics }) => topics)).toEqual([['gone'], ['there']])
    calls[2]?.resolve()
    // Of a topic with several partitions some may have been known.
    for (const at of [1, 3, 4]) {
      calls[at]?.reject(gone)
      await clock.flush()
    }
    expect(values().slice(3)).toEqual([['gone-1'], ['gone-2']])
    const refused = 'ERR_PUBLISH_REJECTED'
    expect(outcomes).toEqual({ 'gone-1': refused, 'gone-2': refused, 'there-1': 'taken', 'there-2': 'taken' })
    expect(new Set(refusals)).toEqual(new Set(['gone']))
  })

  it('says that nothing was written only when that is certain', async () => {
    const { clock, calls, publish, outcomes } = setup(5)
    for (const value of ['refused', 'unclear', 'other']) {
      publish(value)
      await clock.flush()
    }
    calls[0]?.reject(new ProduceError('unavailable', new Error('ECONNREFUSED')))
    calls[1]?.reject(new ProduceError('unknown', new Error('Connection closed')))
    calls[2]?.reject(new Error('something else'))
    await clock.flush()
    expect(outcomes).toEqual({ refused: 'ERR_TRANSPORT_UNAVAILABLE', unclear: 'unknown', other: 'unknown' })
  })

  it('sends many at once in several calls of which none is large, each record once and in its turn', async () => {
    const { clock, calls, values, publish, outcomes } = setup(2)
    const all = Array.from({ length: 1000 }, (_, n) => String(n))
    for (const value of all) publish(value, Number(value) % 100 === 0 ? 'hundreds' : undefined)
    await clock.flush()
    expect(values().map(({ length }) => length)).toEqual([256, 256])
    for (let at = 0; at < calls.length; at += 1) {
      calls[at]?.resolve()
      await clock.flush()
    }
    expect(Math.max(...values().map(({ length }) => length))).toBe(256)
    expect(values().flat().sort()).toEqual([...all].sort())
    const hundreds = (value: string) => Number(value) % 100 === 0
    expect(values().flat().filter(hundreds)).toEqual(all.filter(hundreds))
    expect(new Set(Object.values(outcomes))).toEqual(new Set(['taken']))
  })

  it('puts no more into a call than a broker takes', async () => {
    const { clock, calls, publish } = setup(1)
    for (let n = 0; n < 4; n += 1) publish(String(n).padEnd(400_000, '.'))
    await clock.flush()
    expect(calls[0]?.values.length).toBe(2)
    calls[0]?.resolve()
    await clock.flush()
    expect(calls[1]?.values.length).toBe(2)
  })

  it.each([
    ['key', { key: Buffer.alloc(400_000) }],
    ['value of a header', { headers: [['long', Buffer.alloc(400_000)]] }],
    ['name of a header', { headers: [['é'.repeat(133_000), Buffer.alloc(0)]] }],
    ['number of headers', { headers: Array.from({ length: 17_000 }, (_, n) => [String(n), Buffer.alloc(0)]) }],
  ] as [string, Partial<OutgoingRecord>][])('counts for that what is no body, too: the %s', async (_, part) => {
    const clock = createFakeClock()
    const calls: number[] = []
    const produce = async (records: readonly OutgoingRecord[]) => void calls.push(records.length)
    const publisher = new Publisher({ client: { produce }, clock, inFlight: 1, refusedBy: () => {} })
    const record = { topic: 't', key: null, value: Buffer.alloc(0), headers: [], ...part }
    const all = Array.from({ length: 4 }, () => publisher.publish(record))
    await clock.flush()
    await Promise.all(all)
    expect(calls).toEqual([2, 2])
  })
})
