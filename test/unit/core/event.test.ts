import { describe, expect, it } from 'vitest'
import { copyHeaders, isJson, parseData, toEvent, toMessage } from '../../../src/core/event.js'
import { timeOfId } from '../../../src/core/ids.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

const clock = createFakeClock()
const init = { type: 'Ask', source: 'test' }

describe('toMessage', () => {
  it('fills in what the maker leaves out', () => {
    const message = toMessage({ ...init, data: { a: 1 } }, clock)
    expect(message).toMatchObject({ ...init, time: clock.now(), contentType: 'application/json', headers: {} })
    expect(timeOfId(message.id)).toBe(clock.now())
    expect(Buffer.from(message.body).toString()).toBe('{"a":1}')
    expect(message).not.toHaveProperty('data')
  })

  it('keeps what the maker gives', () => {
    const given = { id: 'my-id', time: 5, correlationId: 'c', causationId: 'b', key: 'k', tenant: 't', replyTo: 'r' }
    const body = new Uint8Array([1, 2])
    const message = toMessage({ ...init, ...given, body, contentType: 'image/png', data: 'ignored' }, clock)
    expect(message).toMatchObject({ ...given, body, contentType: 'image/png' })
  })

  it.each([
    [undefined, 'null'],
    [null, 'null'],
    [() => 1, 'null'],
    ['é', '"é"'],
    [0, '0'],
  ])('writes the data %s as the JSON %s', (data, json) => {
    expect(Buffer.from(toMessage({ ...init, data }, clock).body).toString()).toBe(json)
  })

  it('FM-B14 refuses data without a JSON form before anything is written', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const data of [
      cycle,
      1n,
      {
        toJSON: () => {
          throw new Error('no')
        },
      },
    ]) {
      expect(() => toMessage({ ...init, data }, clock)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_INPUT' }))
    }
  })

  it('FM-H10 takes a header called __proto__ for a header', () => {
    const headers = JSON.parse('{"__proto__":"x","constructor":"y","a":"z"}') as Record<string, string>
    const copy = toMessage({ ...init, headers }, clock).headers
    expect(Object.getPrototypeOf(copy)).toBe(null)
    expect(Object.entries(copy)).toEqual(Object.entries(headers))
    expect(Object.getPrototypeOf(toMessage(init, clock).headers)).toBe(null)
  })
})

describe('copyHeaders', () => {
  it('FM-H10 takes own texts only', () => {
    const inherited = Object.create({ isAdmin: 'true' }, { own: { value: 'x', enumerable: true } }) as Record<
      string,
      unknown
    >
    expect({ ...copyHeaders({ ...inherited, number: 1, list: ['a'], none: undefined }) }).toEqual({ own: 'x' })
    expect('isAdmin' in copyHeaders(inherited)).toBe(false)
  })
})

describe('isJson', () => {
  it.each([
    ['application/json', true],
    ['Application/JSON; charset=utf-8', true],
    ['application/problem+json', true],
    ['application/vnd.x.y-z+json;a=b', true],
    ['application/jsonlines', false],
    ['text/json', false],
    ['application/xml', false],
    ['', false],
  ])('%s: %s', (contentType, expected) => {
    expect(isJson(contentType)).toBe(expected)
  })
})

describe('parseData', () => {
  it('parses JSON, also where the bytes are a part of a larger buffer', () => {
    const pool = Buffer.from('xx{"a":"é"}xx')
    expect(parseData({ contentType: 'application/json', body: pool.subarray(2, -2) })).toEqual({ a: 'é' })
  })

  it('gives other content as bytes', () => {
    const body = new Uint8Array([1])
    expect(parseData({ contentType: 'image/png', body })).toBe(body)
  })

  it('FM-H11 takes __proto__ in JSON for plain data', () => {
    const data = parseData({ contentType: 'application/json', body: Buffer.from('{"__proto__":{"isAdmin":true}}') })
    expect((data as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })

  it.each(['', '{', 'nope'])('throws a SyntaxError for %j', (text) => {
    expect(() => parseData({ contentType: 'application/json', body: Buffer.from(text) })).toThrow(SyntaxError)
  })
})

describe('toEvent', () => {
  it('shows the whole envelope, and parses the data once and only when asked', () => {
    const message = toMessage({ ...init, data: { a: 1 }, correlationId: 'c', key: 'k', headers: { h: 'v' } }, clock)
    const event = toEvent(message)
    const { body, contentType, headers, replyTo: _, profile: __, reply: ___, ...envelope } = message
    expect(event).toMatchObject({ ...envelope, contentType })
    expect([event.body, event.headers]).toEqual([body, headers])
    expect(event.data).toEqual({ a: 1 })
    expect(event.data).toBe(event.data)
    expect(() => toEvent({ ...message, body: Buffer.from('{') })).not.toThrow()
  })

  it('no reader can change what another one sees', () => {
    const message = toMessage({ ...init, data: { list: [1] } }, clock)
    const first = toEvent(message).data as { list: number[] }
    first.list.push(2)
    expect(toEvent(message).data).toEqual({ list: [1] })
  })
})
