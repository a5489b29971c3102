import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EventMessage, parseData } from '../../../src/core/event.js'
import type { Profile } from '../../../src/core/profile.js'
import { bindingWith as amqpBinding } from '../../../src/transports/amqp/binding.js'
import { bindingWith as kafkaBinding } from '../../../src/transports/kafka/binding.js'
import { writtenBytes } from '../../../src/transports/profiles/amqp.js'
import { membersOf } from '../../../src/transports/profiles/json.js'

const amqp = amqpBinding()
const kafka = kafkaBinding()
const NOW = 1_767_225_600_000
const surroundings = { type: '', now: NOW }
/** Those of our own headers among them: an application may use such a name too. */
const name = fc.oneof(
  { arbitrary: fc.stringMatching(/^[a-z][a-z-]{0,12}$/), weight: 4 },
  fc.constantFrom('ra-', 'ra-key', 'ra-cause', 'ra-header-key', 'timestamp_in_ms', 'CC'),
  fc.constantFrom('cloudEvents_id', 'cloudEvents_type', 'cloudEvents_tenant', 'cloudEvents:source', 'cloudEvents_none'),
  fc.constantFrom(
    'kafka_correlationId',
    'kafka_replyTopic',
    'kafka_replyPartition',
    'ce_expirytime',
    'ce_type',
    'ce_tenant',
  ),
)
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
const id = fc.stringMatching(/^[0-9A-HJKMNP-TV-Z]{26}$/)

/** A request event as a gateway makes one. */
const request: fc.Arbitrary<EventMessage> = fc
  .record({
    id,
    type: text,
    source: text,
    time: fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000),
    key: fc.option(text, { nil: undefined }),
    traceparent: fc.constantFrom(undefined, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
    tracestate: fc.constantFrom(undefined, 'a=b'),
    headers: fc.dictionary(
      name.filter((one) => !/^(?:ce|traceparent|tracestate|content-type)$/.test(one)),
      text,
    ),
    contentType: fc.constant('application/json'),
    body: fc.json().map((json) => Buffer.from(json)),
    replyTo: fc.constant('replies'),
  })
  .map((made) => ({ ...made, correlationId: made.id }))

const profile: fc.Arbitrary<Profile> = fc.record({
  name: fc.constantFrom('native', 'cloudevents', 'spring', 'nest'),
  answers: fc.constantFrom('reply', 'event'),
})

const incoming = (record: ReturnType<typeof kafka.toRecord>) => ({
  ...record,
  partition: 1,
  offset: 7n,
  timestamp: NOW,
})

describe('requests by a profile', () => {
  it('Q11 cloudevents and native come back whole, over RabbitMQ and over Kafka', () => {
    const whole = profile.filter(({ name }) => name === 'cloudevents' || name === 'native')
    fc.assert(
      fc.property(request, whole, (message, by) => {
        // Names that say something to every reader on Kafka are not the application's.
        const kept = Object.entries(message.headers).filter(([one]) => !/^(?:kafka|ce)_/.test(one))
        const { replyTo: _, ...expected } = { ...message, headers: Object.fromEntries(kept) }
        for (const read of [
          amqp.read(amqp.write({ ...message, profile: by }), surroundings),
          kafka.fromRecord(incoming(kafka.toRecord({ ...message, profile: by }, 'topic'))),
        ]) {
          for (const [field, value] of Object.entries(expected)) {
            if (field === 'body') expect(Buffer.from(read.body).equals(message.body)).toBe(true)
            else if (field === 'headers') expect({ ...read.headers }).toMatchObject(value as object)
            else if (value !== undefined) expect([field, read[field as keyof EventMessage]]).toEqual([field, value])
          }
        }
      }),
    )
  })

  it('P02 Q01 INTEROP-S2 INTEROP-S3 are told where to answer if and only if the worker answers there', () => {
    fc.assert(
      fc.property(request, profile, (message, by) => {
        const { replyTo } = amqp.write({ ...message, profile: by }).properties
        expect(replyTo).toBe(by.answers === 'reply' ? 'replies' : undefined)
        const headers = new Map(kafka.toRecord({ ...message, profile: by }, 'topic').headers)
        const asked = headers.get(by.name === 'native' || by.name === 'cloudevents' ? 'ce_replyto' : 'kafka_replyTopic')
        expect(asked?.toString()).toBe(by.answers === 'reply' ? 'replies' : undefined)
      }),
    )
  })

  it('Q03 Q12 INTEROP-K1 INTEROP-K2 INTEROP-K3 INTEROP-K5 INTEROP-N5 name no partition, and no header twice', () => {
    fc.assert(
      fc.property(request, profile, (message, by) => {
        const names = kafka.toRecord({ ...message, profile: by }, 'topic').headers.map(([one]) => one)
        if (by.name !== 'native') expect(names).not.toContain('kafka_replyPartition')
        expect(new Set(names).size).toBe(names.length)
      }),
    )
  })

  it('Q01 Q05 Q06 INTEROP-K4 INTEROP-K6 carry the id as text that no worker can take for anything else', () => {
    fc.assert(
      fc.property(request, profile, (message, by) => {
        const sent = new Map(kafka.toRecord({ ...message, profile: by }, 'topic').headers).get('kafka_correlationId')
        if (by.name !== 'native') expect(sent?.toString('latin1')).toBe(message.id)
        expect(amqp.write({ ...message, profile: by }).properties.correlationId).toBe(message.id)
      }),
    )
  })

  it('B13 the size of what is written is known without writing it', () => {
    fc.assert(
      fc.property(request, fc.option(profile, { nil: undefined }), (message, by) => {
        const asked = { ...message, profile: by }
        expect(writtenBytes(asked)).toBe(amqp.write(asked).body.length)
      }),
    )
  })

  it('P13 INTEROP-N1 INTEROP-N2 INTEROP-N3 a Nest envelope has an id if and only if it asks for an answer', () => {
    fc.assert(
      fc.property(request, profile, (message, by) => {
        const { body } = amqp.write({ ...message, profile: { ...by, name: 'nest', pattern: { cmd: 'x' } } })
        const members = membersOf(body)
        expect(JSON.parse(members?.get('pattern') ?? '')).toEqual({ cmd: 'x' })
        expect(members?.get('data')?.trim()).toBe(message.body.toString().trim())
        expect(members?.has('id')).toBe(by.answers === 'reply')
      }),
    )
  })
})

describe('answers', () => {
  const value = fc.json()

  it('P13 INTEROP-S6 of a Nest worker keep every character of their data', () => {
    fc.assert(
      fc.property(value, id, fc.boolean(), (json, correlationId, isLast) => {
        const body = Buffer.from(`{"response":${json}${isLast ? ',"isDisposed":true' : ''}}`)
        const read = amqp.read({ properties: { correlationId, headers: {} }, body }, { ...surroundings, tag: 3 })
        expect(read).toMatchObject({ correlationId, type: '', reply: { isLast, isEmpty: false } })
        expect(Buffer.from(read.body).toString().trim()).toBe(json.trim())
      }),
    )
  })

  it('INTEROP-K8 INTEROP-S6 equal values of one answer are several, and a record is the same when it is read again', () => {
    const properties = { correlationId: 'c' }
    const body = Buffer.from('{"response":9007199254740993}')
    const [one, two] = [1, 2].map((tag) => amqp.read({ properties, body }, { ...surroundings, tag }))
    expect(one?.id).not.toBe(two?.id)
    expect(Buffer.from(one?.body ?? []).toString()).toBe('9007199254740993')
    const record = { topic: 't', partition: 1, key: null, value: Buffer.from('1'), timestamp: NOW, headers: [] }
    const ids = [9n, 10n, 9n].map((offset) => kafka.fromRecord({ ...record, offset }).id)
    expect(ids[0]).toBe(ids[2])
    expect((ids[0] ?? '') < (ids[1] ?? '')).toBe(true)
  })

  it('of a Nest worker that are undefined are values, and only the end is the end', () => {
    const properties = { correlationId: 'c' }
    const read = (body: string, around: object = surroundings, more: object = {}) =>
      amqp.read({ properties: { ...properties, ...more }, body: Buffer.from(body) }, { type: '', now: NOW, ...around })
    const value = { type: '', reply: { isLast: false, isEmpty: false }, body: Buffer.from('null') }
    expect(read('{}')).toMatchObject(value)
    expect(read('{"isDisposed":true}')).toMatchObject({ reply: { isLast: true, isEmpty: true } })
    // What says its type, or that it is JSON, or comes as an event is what it says.
    const others = [
      read('{}', surroundings, { type: 'Done' }),
      read('{}', surroundings, { contentType: 'application/json' }),
      read('{}', { type: 'Done' }),
      read('{}', { type: 'Done', isAwaited: true }),
    ]
    expect(others.map(({ body }) => Buffer.from(body).toString())).toEqual(['{}', '{}', '{}', '{}'])
    const record = { topic: 't', partition: 0, offset: 0n, key: null, value: null, timestamp: NOW }
    const id = ['kafka_correlationId', Buffer.from('c')] as const
    const end = ['kafka_nest-is-disposed', Buffer.alloc(1)] as const
    expect(kafka.fromRecord({ ...record, headers: [id] })).toMatchObject({ ...value, type: 't' })
    expect(kafka.fromRecord({ ...record, headers: [id, end] })).toMatchObject({
      reply: { isLast: true, isEmpty: true },
    })
    expect(kafka.fromRecord({ ...record, headers: [] }).reply).toBeUndefined()
    expect(kafka.fromRecord({ ...record, key: Buffer.from('k'), headers: [id] }).reply).toBeUndefined()
  })

  it('Q07 Q10 Q11 of Zilla and SmallRye workers are understood, and a header of Spring that is JSON loses its quotes', () => {
    const read = (headers: Record<string, string>, body: string | null = '1') =>
      kafka.fromRecord({
        ...{ topic: 't', partition: 0, offset: 0n, key: null, timestamp: NOW },
        value: body === null ? null : Buffer.from(body),
        headers: Object.entries(headers).map(([one, text]) => [one, Buffer.from(text)] as const),
      })
    fc.assert(
      fc.property(id, (correlationId) => {
        expect(read({ 'zilla:correlation-id': correlationId, ':status': '409' })).toMatchObject({
          correlationId,
          reply: { failure: 'refused' },
        })
        expect(read({ 'zilla:correlation-id': correlationId, ':status': '204' }, null)).toMatchObject({
          correlationId,
          reply: { isEmpty: true },
        })
        expect(read({ REPLY_CORRELATION_ID: correlationId }).correlationId).toBe(correlationId)
        const json = { 'x-correlation-id': `"${correlationId}"`, spring_json_header_types: '{}' }
        expect(read(json).correlationId).toBe(correlationId)
      }),
    )
  })

  it('N16 N17 that are CloudEvents are read in both modes, with either separator', () => {
    fc.assert(
      fc.property(id, value, fc.constantFrom('_', ':'), (correlationid, data, separator) => {
        const attributes = { id: 'e', source: '/s', specversion: '1.0', type: 'Done', correlationid }
        const headers = Object.fromEntries(
          Object.entries(attributes).map(([one, is]) => [`cloudEvents${separator}${one}`, is]),
        )
        const binary = amqp.read(
          { properties: { headers, contentType: 'application/json' }, body: Buffer.from(data) },
          surroundings,
        )
        const text = `{"data":${data},${JSON.stringify(attributes).slice(1)}`
        const contentType = 'application/cloudevents+json; charset=UTF-8'
        const structured = amqp.read({ properties: { contentType }, body: Buffer.from(text) }, surroundings)
        const record = { topic: 't', partition: 0, offset: 0n, key: null, timestamp: NOW, value: Buffer.from(text) }
        const inKafka = kafka.fromRecord({ ...record, headers: [['content-type', Buffer.from(contentType)]] })
        for (const read of [binary, structured, inKafka]) {
          expect(read).toMatchObject({
            id: 'e',
            type: 'Done',
            correlationId: correlationid,
            contentType: 'application/json',
          })
          expect(Buffer.from(read.body).toString().trim()).toBe(data.trim())
        }
      }),
    )
  })

  it('FM-C9 that are no CloudEvents, as they say, keep the correlation id that stands beside the body', () => {
    const broken = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.constantFrom('{}', '[]', '{"specversion":"1.0","id":"e","type":"Done"}').map((json) => Buffer.from(json)),
      fc.constant(Buffer.from('{"specversion":"1.0","id":"e","type":"Done","source":"s","data_base64":1}')),
    )
    const contentType = 'application/cloudevents+json'
    fc.assert(
      fc.property(id, broken, fc.constantFrom('x-correlation-id', 'correlationid'), (correlationId, body, name) => {
        const byProperty = amqp.read({ properties: { contentType, correlationId }, body }, surroundings)
        const headers = { [name]: correlationId }
        const byHeader = amqp.read({ properties: { contentType, headers }, body }, surroundings)
        const list = [['content-type', Buffer.from(contentType)] as const, [name, Buffer.from(correlationId)] as const]
        const record = { topic: 't', partition: 0, offset: 0n, key: null, timestamp: NOW, value: body, headers: list }
        for (const read of [byProperty, byHeader, kafka.fromRecord(record)]) {
          expect(read).toMatchObject({ correlationId, type: '', isUnreadable: true })
          expect(() => parseData(read)).toThrow(SyntaxError)
        }
        expect(kafka.fromRecord(record, true).type).toBe('t')
      }),
    )
  })

  it('any bytes and any headers are read, or refused as a whole', () => {
    const headers = fc.dictionary(
      fc.constantFrom('__TypeId__', 'x-correlation-id', '__proto__', 'kafka_nest-err', ':status', 'ce_type'),
      text,
    )
    fc.assert(
      fc.property(fc.uint8Array(), headers, (body, given) => {
        expect(amqp.read({ properties: { headers: given }, body }, surroundings).headers).toBeDefined()
        const list = Object.entries(given).map(([one, is]) => [one, Buffer.from(is)] as const)
        const record = { topic: 't', partition: 0, offset: 0n, key: null, timestamp: NOW, value: body, headers: list }
        expect(kafka.fromRecord(record).id).not.toBe('')
      }),
    )
  })
})

describe('membersOf', () => {
  it('gives what JSON.parse gives, as text', () => {
    const space = fc.constantFrom('', ' ', '\n\t')
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), space, (object, gap) => {
        const body = Buffer.from(gap + JSON.stringify(object, null, gap) + gap)
        const members = membersOf(body)
        expect([...(members ?? [])].map(([key, json]) => [key, JSON.parse(json)])).toEqual(
          Object.entries(JSON.parse(body.toString())),
        )
      }),
    )
  })

  it.each(['', '[]', '1', '"{}"', '{', '{"a":}', 'null', '{"a":1}x'])('is undefined for %j', (json) => {
    expect(membersOf(Buffer.from(json))).toBeUndefined()
  })
})
