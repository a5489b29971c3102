import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EventMessage, toMessage } from '../../../src/core/event.js'
import { createId } from '../../../src/core/ids.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { nativeBinding } from '../../../src/transports/amqp/binding.js'
import type { AmqpContent } from '../../../src/transports/profiles/amqp-wire.js'

const clock = createFakeClock()
const text = fc.string({ minLength: 1, maxLength: 60 })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const time = fc.integer({ min: 0, max: 8_640_000_000_000_000 })
const someTime = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const headerName = fc.oneof(
  text,
  fc.constantFrom('__proto__', 'CC', 'BCC', 'constructor', 'traceparent', 'ra-key', 'ra-header-ra-header-x'),
  fc.constantFrom('timestamp_in_ms', 'x-delivery-count', 'x-stream-offset', 'toString', 'ra-', ''),
)
const headers = fc.array(fc.tuple(headerName, fc.string({ maxLength: 40 })), { maxLength: 6 }).map((pairs) => {
  const made: Record<string, string> = Object.create(null)
  for (const [name, value] of pairs) made[name] = value
  return made
})
const id = fc.oneof(text, someTime.map(createId), fc.string({ minLength: 200, maxLength: 400 }))

const messages: fc.Arbitrary<EventMessage> = fc
  .record({
    id,
    type: fc.oneof(text, fc.string({ minLength: 250, maxLength: 300 })),
    source: fc.string({ maxLength: 400 }),
    time: fc.oneof(time, someTime),
    correlationId: maybe(text),
    causationId: maybe(text),
    key: maybe(fc.string({ unit: 'binary', maxLength: 40 })),
    traceparent: maybe(text),
    tracestate: maybe(text),
    tenant: maybe(text),
    dataSchema: maybe(text),
    replyTo: maybe(text),
    contentType: text,
    headers,
    body: fc.uint8Array({ maxLength: 50 }),
  })
  .map((init) => toMessage(init, clock))

/** What amqplib makes of a header table on its way: an ordinary object, filled by assignment. */
function overTheWire({ properties, body }: AmqpContent): AmqpContent {
  const table: Record<string, unknown> = {}
  for (const name in properties.headers) table[name] = properties.headers[name]
  return { properties: { ...properties, headers: table }, body }
}

const surroundings = { type: 'Surrounding', now: 42 }

describe('the native binding of AMQP', () => {
  it('gives back every event as it was written', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const got = nativeBinding.read(overTheWire(nativeBinding.write(message)), surroundings)
        expect({ ...got, headers: Object.entries(got.headers).sort() }).toEqual({
          ...message,
          headers: Object.entries(message.headers).sort(),
        })
        expect(Object.getPrototypeOf(got.headers)).toBeNull()
      }),
      { numRuns: 2000 },
    )
  })

  it('P05 writes nothing that closes a channel: short strings are short, CC and BCC are not there', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const { properties } = nativeBinding.write(message)
        const { messageId, type, appId, contentType, headers = {} } = properties
        for (const value of [messageId, type, appId, contentType])
          if (value !== undefined) expect(Buffer.byteLength(value)).toBeLessThanOrEqual(255)
        for (const name of ['CC', 'BCC', '__proto__']) expect(Object.hasOwn(headers, name)).toBe(false)
        expect(Number.isInteger(properties.timestamp)).toBe(true)
      }),
    )
  })

  it('needs no header table for the request of a gateway', () => {
    fc.assert(
      fc.property(someTime, (at) => {
        const made = createId(at)
        const init = { id: made, correlationId: made, type: 'A::Asked', source: 'gateway', time: at, data: {} }
        expect(nativeBinding.write(toMessage(init, clock)).properties.headers).toBeUndefined()
      }),
    )
  })

  it('reads whatever anybody sends', () => {
    const anything = fc.oneof(fc.anything(), fc.string())
    const property = fc.record(
      {
        messageId: anything,
        correlationId: anything,
        type: anything,
        timestamp: anything,
        contentType: anything,
        appId: anything,
        replyTo: anything,
        headers: fc.option(fc.dictionary(headerName, anything), { nil: undefined }),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(property, fc.uint8Array(), (properties, body) => {
        const got = nativeBinding.read({ properties: properties as never, body }, surroundings)
        for (const field of ['id', 'type', 'source', 'contentType'] as const) expect(typeof got[field]).toBe('string')
        expect(typeof got.time).toBe('number')
        for (const value of Object.values(got.headers)) expect(typeof value).toBe('string')
      }),
    )
  })
})
