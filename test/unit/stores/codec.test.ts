import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import {
  decodeError,
  decodeEvent,
  decodeHead,
  encodeError,
  encodeEvent,
  encodeHead,
  FORMAT,
} from '../../../src/stores/codec.js'

const bytes = (event: { readonly body: Uint8Array }) => Buffer.from(event.body).toString('hex')

describe('the codec', () => {
  it('an event comes back with every field', () => {
    const event = toMessage(
      {
        id: 'e1',
        type: 'User::Created',
        source: 'users',
        time: 1_700_000_000_000,
        correlationId: 'o1',
        causationId: 'c1',
        key: 'k',
        traceparent: '00-1',
        tracestate: 'a=b',
        tenant: 't',
        dataSchema: 'https://schemas.example/user',
        headers: { 'x-a': '1', ['__proto__']: 'plain' },
        replyTo: 'queue',
        contentType: 'application/json; charset=utf-8',
        data: { name: 'Zoë ✓' },
      },
      systemClock,
    )
    const back = decodeEvent(encodeEvent(event))
    expect(back).toEqual(event)
    expect(Object.getPrototypeOf(back.headers)).toBeNull()
    expect(Object.keys(back)).toEqual(Object.keys(event))
  })

  it('a body that is a view of a larger buffer is written alone', () => {
    const body = Buffer.from('-\xff-').subarray(1, 3)
    expect(bytes(decodeEvent(encodeEvent(toMessage({ type: 'T', source: 's', body }, systemClock))))).toBe(
      bytes({ body }),
    )
    const binary = Uint8Array.from([1, 0xff, 2]).subarray(1, 2)
    const event = toMessage({ type: 'T', source: 's', body: binary }, systemClock)
    expect(bytes(decodeEvent(encodeEvent(event)))).toBe('ff')
  })

  it('heads and errors come back', () => {
    const head = { principal: 'ann\u0000', key: undefined, idempotency: { key: 'k', fingerprint: 'f' } }
    expect(decodeHead(encodeHead(head))).toEqual(head)
    const error = { code: 'ERR_RESULT_TIMEOUT', message: 'too late' } as const
    expect(decodeError(encodeError(error))).toEqual(error)
  })

  // What version 1 wrote, to the letter. It must be readable as long as the version before the current one is 1.
  it('FM-D14 what the releases before have written is read', () => {
    const event =
      '{"v":1,"id":"e1","type":"A","source":"s","time":7,"correlationId":"o1","headers":{"h":"1"},"contentType":"application/json","text":"{\\"n\\":12345678901234567890}"}'
    expect(decodeEvent(event)).toMatchObject({ id: 'e1', time: 7, correlationId: 'o1', key: undefined })
    expect(Buffer.from(decodeEvent(event).body).toString()).toBe('{"n":12345678901234567890}')
    const binary = event.replace(/"text":.*\}"\}$/, '"base64":"/wA="}')
    expect(bytes(decodeEvent(binary))).toBe('ff00')
    expect(decodeHead('{"v":1,"principal":"ann"}')).toEqual({
      principal: 'ann',
      key: undefined,
      idempotency: undefined,
    })
    expect(decodeError('{"v":1,"code":"ERR_RESULT_TIMEOUT","message":"m"}').message).toBe('m')
  })

  it('FM-D14 fields that a later release adds are passed over; a later format is refused by its number', () => {
    expect(decodeHead(`{"v":${FORMAT},"principal":"ann","more":1}`).principal).toBe('ann')
    for (const version of [FORMAT + 1, '"x"', 'null'])
      expect(() => decodeHead(`{"v":${version}}`)).toThrow(`has format ${String(version).replaceAll('"', '')}`)
    expect(decodeHead(`{"v":${FORMAT - 1}}`)).toEqual({})
  })
})
