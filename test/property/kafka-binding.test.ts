import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventMessage } from '../../src/core/event.js'
import { native } from '../../src/transports/kafka/binding.js'
import { formatPosition, parsePosition } from '../../src/transports/kafka/starts.js'
import type { Header, IncomingRecord, OutgoingRecord } from '../../src/transports/profiles/kafka-wire.js'

const RESERVED =
  /^(?:ce_(?:id|type|source|time|specversion|correlationid|causationid|tenant|dataschema|replyto)|content-type|traceparent|tracestate)$/

const text = fc.string({ unit: 'grapheme' })
const optional = fc.option(text, { nil: undefined })
const headers = fc
  .array(fc.tuple(fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'toString')), text))
  .map((pairs) => Object.assign(Object.create(null), Object.fromEntries(pairs)) as Record<string, string>)

const messages: fc.Arbitrary<EventMessage> = fc.record({
  id: text,
  type: text,
  source: text,
  time: fc.integer({ min: 0, max: 8.64e15 }),
  correlationId: optional,
  causationId: optional,
  key: optional,
  traceparent: optional,
  tracestate: optional,
  tenant: optional,
  dataSchema: optional,
  replyTo: optional,
  headers: headers.map((all) => {
    const kept = Object.entries(all).filter(([name]) => !RESERVED.test(name))
    return Object.assign(Object.create(null), Object.fromEntries(kept)) as Record<string, string>
  }),
  contentType: text,
  body: fc.uint8Array(),
})

function asRead({ topic, key, value, headers }: OutgoingRecord, more: Partial<IncomingRecord> = {}): IncomingRecord {
  return { topic, partition: 3, offset: 42n, timestamp: 1000, key, value, headers, ...more }
}

describe('the native binding of Kafka', () => {
  it('N06 brings every event back as it was', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const back = native.fromRecord(asRead(native.toRecord(message, 'topic')))
        expect({ ...back, body: [...back.body], headers: Object.entries(back.headers).sort() }).toEqual({
          ...message,
          body: [...message.body],
          headers: Object.entries(message.headers).sort(),
        })
      }),
    )
  })

  it('Q15 writes no header twice, and of a header that comes twice the last one counts', () => {
    fc.assert(
      fc.property(messages, text, (message, other) => {
        const record = native.toRecord(message, 'topic')
        const names = record.headers.map(([name]) => name)
        expect(new Set(names).size).toBe(names.length)
        const twice: Header[] = [...record.headers, ['ce_correlationid', Buffer.from(other)], ['x', Buffer.from('1')]]
        const back = native.fromRecord(asRead(record, { headers: [...twice, ['x', Buffer.from(other)]] }))
        expect([back.correlationId, back.headers['x']]).toEqual([other, other])
      }),
    )
  })

  it('FM-H10 reads whatever is there without harm, and the same each time', () => {
    const header = fc.tuple(text, fc.option(fc.uint8Array()))
    const record = fc.record({
      topic: fc.constant('topic'),
      partition: fc.nat(),
      offset: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
      timestamp: fc.nat(),
      key: fc.option(fc.uint8Array()),
      value: fc.option(fc.uint8Array()),
      headers: fc.array(
        fc.oneof(header, fc.tuple(fc.constantFrom('ce_time', 'ce_id', '__proto__'), fc.option(fc.uint8Array()))),
      ),
    })
    fc.assert(
      fc.property(record, (one) => {
        const [first, second] = [native.fromRecord(one), native.fromRecord(one)]
        expect(first).toEqual(second)
        expect(Number.isNaN(first.time)).toBe(false)
        expect(Object.getPrototypeOf(first.headers)).toBe(null)
        expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
      }),
    )
  })

  it('an application cannot forge the envelope by its headers', () => {
    const forged = { ce_id: 'other', ce_type: 'Other', 'content-type': 'text/plain', ce_time: 'never' }
    fc.assert(
      fc.property(messages, (message) => {
        const back = native.fromRecord(asRead(native.toRecord({ ...message, headers: forged }, 'topic')))
        expect([back.id, back.type, back.contentType]).toEqual([message.id, message.type, message.contentType])
        expect(Object.keys(back.headers)).toEqual([])
      }),
    )
  })
})

describe('a position', () => {
  it('is read as it was written', () => {
    const name = fc.stringMatching(/^[\w.-]{1,40}$/)
    const offset = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
    const last = fc.tuple(offset, fc.stringMatching(/^[\w-]{8}$/))
    const place = fc.tuple(offset, fc.option(last)).map(([next, before]) => {
      const witness = before !== null && before[0] < next ? { last: { offset: before[0], mark: before[1] } } : {}
      return { next, ...witness }
    })
    const entry = fc.tuple(
      fc.tuple(name, fc.nat(100_000)).map(([topic, one]) => `${topic}:${one}`),
      place,
    )
    fc.assert(
      fc.property(fc.uniqueArray(entry, { minLength: 1, selector: ([id]) => id }), (entries) => {
        expect([...parsePosition(formatPosition(entries))]).toEqual(entries)
      }),
    )
  })

  it('is short, and of an older version is read as well', () => {
    const last = { offset: 14n, mark: 'Xk3v_Q-0' }
    const position = 'topic:0=15~Xk3v_Q-0;topic:1=17~2~Xk3v_Q-0;topic:2=0'
    expect(formatPosition(parsePosition(position))).toBe(position)
    expect([...parsePosition(position).values()]).toEqual([{ next: 15n, last }, { next: 17n, last }, { next: 0n }])
    expect([...parsePosition('topic:0=15;topic:1=3').values()]).toEqual([{ next: 15n }, { next: 3n }])
  })

  it('of anything else is refused', () => {
    const others = ['', '15', 'topic=1', 'topic:0', 'topic:0=-1', 'topic:0=1;', 'to pic:0=1']
    for (const other of [...others, 'topic:0=1~', 'topic:0=1~short', 'topic:0=1~-1~Xk3v_Q-0', 'topic:0~Xk3v_Q-0'])
      expect(() => parsePosition(other)).toThrow(/is no position/)
  })
})
