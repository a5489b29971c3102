import { describe, expect, it } from 'vitest'
import { type EventMessage, toMessage } from '../../../src/core/event.js'
import { cloudEvents, nest, type Profile, spring } from '../../../src/core/profile.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { resolveSettings } from '../../../src/transports/amqp/options.js'
import { resolveKafkaOptions } from '../../../src/transports/kafka/options.js'

const clock = createFakeClock()
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const trace = { traceparent, tracestate: 'a=b' }
const PROFILES: readonly (Profile | undefined)[] = [undefined, cloudEvents(), spring(), nest()]

function amqpBinding(correlationHeader?: string) {
  const results = correlationHeader === undefined ? {} : { correlationHeader }
  return resolveSettings({ url: 'amqp://localhost', results }).binding
}

function kafkaBinding(correlationHeader?: string) {
  const named = correlationHeader === undefined ? {} : { correlationHeader }
  return resolveKafkaOptions({ brokers: ['localhost:9092'], topics: { results: 'results' }, ...named }).binding
}

function request(profile?: Profile, more: object = {}): EventMessage {
  const init = { id: 'one', correlationId: 'one', type: 'CreateUser::Requested', source: 'shop', data: { n: 1 } }
  return toMessage({ ...init, ...trace, profile, replyTo: 'replies', ...more }, clock)
}

function toAmqp(message: EventMessage): Record<string, unknown> {
  return { ...amqpBinding().write(message).properties.headers }
}

function toKafka(message: EventMessage): Record<string, string> {
  const { headers } = kafkaBinding().toRecord(message, 'topic')
  return Object.fromEntries(headers.map(([name, value]) => [name, value.toString()]))
}

interface Incoming {
  readonly headers: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly body?: string
}

function fromAmqp({ headers, contentType, body = '1' }: Incoming, correlationHeader?: string): EventMessage {
  const content = { properties: { headers, contentType }, body: Buffer.from(body) }
  return amqpBinding(correlationHeader).read(content, { type: 'key', now: 5 })
}

function fromKafka({ headers, contentType, body = '1' }: Incoming, correlationHeader?: string): EventMessage {
  const all = Object.entries({ ...headers, ...(contentType && { 'content-type': contentType }) })
  return kafkaBinding(correlationHeader).fromRecord({
    ...{ topic: 'topic', partition: 0, offset: 7n, timestamp: 5, key: null, value: Buffer.from(body) },
    headers: all.map(([name, value]) => [name, Buffer.from(value)] as const),
  })
}

/** The attributes of a request as CloudEvents, by their bare names. */
function attributes(headers: Readonly<Record<string, unknown>>, prefix: string): Record<string, unknown> {
  const found = Object.entries(headers).filter(([name]) => name.startsWith(prefix))
  return Object.fromEntries(found.map(([name, value]) => [name.slice(prefix.length), value]))
}

describe('the trace of an event', () => {
  it('M08 goes in lower-case headers, whatever the profile', () => {
    for (const profile of PROFILES) {
      expect(toAmqp(request(profile))).toMatchObject(trace)
      expect(toKafka(request(profile))).toMatchObject(trace)
    }
  })

  it('M10 is the same in the attributes of a CloudEvent, where there are any', () => {
    expect(attributes(toAmqp(request(cloudEvents())), 'cloudEvents_')).toMatchObject(trace)
    for (const profile of PROFILES) {
      expect(Object.keys(toKafka(request(profile)))).not.toContain('ce_traceparent')
    }
  })
})

const WRITTEN = {
  RabbitMQ: () => attributes(toAmqp(request(cloudEvents(), { key: 'k', tenant: 't' })), 'cloudEvents_'),
  Kafka: () => attributes(toKafka(request(cloudEvents(), { key: 'k', tenant: 't' })), 'ce_'),
  'Kafka, native': () => attributes(toKafka(request(undefined, { key: 'k', tenant: 't' })), 'ce_'),
}

describe.each(Object.entries(WRITTEN))('a CloudEvent for %s', (_, write) => {
  it('N01 has the four attributes that every event has', () => {
    const required = { id: 'one', source: 'shop', specversion: '1.0', type: 'CreateUser::Requested' }
    expect(write()).toMatchObject(required)
  })

  it('N02 has attribute names of lower-case letters and digits only', () => {
    for (const name of Object.keys(write())) expect(name).toMatch(/^[a-z][a-z0-9]{0,19}$/)
  })

  it('N19 has its time as RFC 3339', () => {
    expect(write()['time']).toBe(new Date(clock.now()).toISOString())
  })
})

const READ = {
  RabbitMQ: { read: fromAmqp, prefix: 'cloudEvents_' },
  Kafka: { read: fromKafka, prefix: 'ce_' },
}
const EVENT = { id: 'e', source: '/s', specversion: '1.0', type: 'Done' }

describe.each(Object.entries(READ))('a CloudEvent from %s', (_, { read, prefix }) => {
  const named = (given: object) =>
    Object.fromEntries(Object.entries(given).map(([name, value]) => [prefix + name, String(value)]))

  it('N03 belongs to the request of its correlationid, or else of its causationid', () => {
    const both = { ...EVENT, correlationid: 'one', causationid: 'two' }
    expect(read({ headers: named(both) }).correlationId).toBe('one')
    expect(read({ headers: named({ ...EVENT, causationid: 'two' }) }).correlationId).toBe('two')
  })

  it.each(['application/cloudevents+json', 'Application/CloudEvents+JSON; charset=UTF-8'])(
    'N05 N08 is its body when that is %s, whatever its headers repeat',
    (contentType) => {
      const body = JSON.stringify({ ...EVENT, correlationid: 'one', data: { n: 1 } })
      const event = read({ headers: named({ ...EVENT, type: 'Other', correlationid: 'two' }), contentType, body })
      expect(event).toMatchObject({ type: 'Done', correlationId: 'one', contentType: 'application/json' })
      expect(String(event.body)).toBe('{"n":1}')
    },
  )

  it('N10 is none in a batch, of which nothing is taken apart', () => {
    const body = JSON.stringify([{ ...EVENT, correlationid: 'one' }])
    const event = read({ headers: {}, contentType: 'application/cloudevents-batch+json', body })
    expect([event.correlationId, String(event.body)]).toEqual([undefined, body])
    expect(event.type).not.toBe('Done')
  })

  it('N19 has the bytes of data_base64', () => {
    const parts = { datacontenttype: 'image/png', data_base64: 'AAH/' }
    const event = read({
      headers: {},
      contentType: 'application/cloudevents+json',
      body: JSON.stringify({ ...EVENT, ...parts }),
    })
    expect([event.contentType, [...event.body]]).toEqual(['image/png', [0, 1, 255]])
  })
})

it('N20 headers that lack one of the four attributes make no CloudEvent', () => {
  for (const missing of Object.keys(EVENT)) {
    const rest = Object.entries(EVENT).filter(([name]) => name !== missing)
    const headers = Object.fromEntries(rest.map(([name, value]) => [`cloudEvents_${name}`, value]))
    expect(fromAmqp({ headers })).toMatchObject({ type: 'key', headers })
  }
  const headers = Object.fromEntries(Object.entries(EVENT).map(([name, value]) => [`cloudEvents_${name}`, value]))
  expect(fromAmqp({ headers })).toMatchObject({ type: 'Done', id: 'e', source: '/s' })
})

describe('a record of Kafka', () => {
  it('N07 is never a tombstone, though the event has no data', () => {
    for (const profile of PROFILES.filter((one) => one?.name !== 'nest')) {
      const { value } = kafkaBinding().toRecord(request(profile, { body: new Uint8Array(0) }), 'topic')
      expect(value).toEqual(Buffer.alloc(0))
    }
  })

  it('N09 Q16 has the key of the command, which changes nothing else', () => {
    for (const profile of PROFILES) {
      const { key, ...rest } = kafkaBinding().toRecord(request(profile, { key: 'user-1' }), 'topic')
      const { key: none, ...same } = kafkaBinding().toRecord(request(profile), 'topic')
      expect([key?.toString(), none]).toEqual(['user-1', null])
      expect(rest).toEqual(same)
    }
  })

  it('Q11 is the same for Spring and for Nest, so that workers of both can read one topic', () => {
    const [one, other] = [spring(), nest()].map((profile) => kafkaBinding().toRecord(request(profile), 'topic'))
    expect(one).toEqual(other)
  })

  it('Q14 names a Java class only where the command does', () => {
    expect(toKafka(request(spring()))).not.toHaveProperty('__TypeId__')
    expect(toKafka(request(spring({ typeId: 'example.User' })))).toMatchObject({ __TypeId__: 'example.User' })
    expect(toAmqp(request(spring()))).not.toHaveProperty('__TypeId__')
  })
})

describe('the correlation id of an event that a worker publishes by itself', () => {
  it('P12 is in the headers that are usual', () => {
    for (const header of ['x-correlation-id', 'correlation-id', 'correlationid', 'correlationId', 'correlation_id']) {
      expect(fromAmqp({ headers: { [header]: 'one' } }).correlationId).toBe('one')
      expect(fromKafka({ headers: { [header]: 'one' } }).correlationId).toBe('one')
    }
    expect(fromAmqp({ headers: { cloudEvents_correlationid: 'one', 'x-correlation-id': 'two' } }).correlationId).toBe(
      'one',
    )
  })

  it('P12 is in the header that the options name, before those that are guessed', () => {
    const headers = { 'x-correlation-id': 'of a trace', request: 'one' }
    for (const read of [fromAmqp, fromKafka]) {
      expect(read({ headers }).correlationId).toBe('of a trace')
      expect(read({ headers }, 'request').correlationId).toBe('one')
      expect(read({ headers: { 'x-correlation-id': 'one' } }, 'request').correlationId).toBe('one')
    }
    const specific = { ...headers, kafka_correlationId: 'sure' }
    expect(fromKafka({ headers: specific }, 'request').correlationId).toBe('sure')
  })
})

it('P07 no request has an expiration, which would delete what a 202 has promised', () => {
  for (const profile of PROFILES) {
    expect(amqpBinding().write(request(profile)).properties).not.toHaveProperty('expiration')
  }
})

describe('the data of an answer', () => {
  const structured = 'application/cloudevents+json'
  const event = { specversion: '1.0', id: '1', source: 's', type: 'Done' }

  it.each([
    ['text/plain', '"say \\"hello\\""', 'say "hello"'],
    ['text/plain', '7', '7'],
    ['application/json', '"hello"', '"hello"'],
    ['application/vnd.x+json', '"hello"', '"hello"'],
  ])('N16 of a structured CloudEvent of type %s that are %s', (datacontenttype, data, expected) => {
    const members = JSON.stringify({ ...event, datacontenttype }).slice(0, -1)
    for (const from of [fromAmqp, fromKafka]) {
      const read = from({ headers: {}, contentType: structured, body: `${members},"data":${data}}` })
      expect([read.contentType, Buffer.from(read.body).toString()]).toEqual([datacontenttype, expected])
    }
  })

  it('of Nest over RabbitMQ that are undefined do not end a list of values', () => {
    const read = (body: string, contentType?: string) =>
      amqpBinding().read({ properties: { headers: {}, contentType }, body: Buffer.from(body) }, { type: '', now: 5 })
        .reply
    expect(read('{}')).toEqual({ isLast: false, isEmpty: false })
    expect(read('{}', 'application/json')).toEqual({ isLast: true, isEmpty: false })
    expect(read('{"a":1}')).toEqual({ isLast: true, isEmpty: false })
  })
})
