import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.js'
import { toMessage } from '../../src/core/event.js'
import { decodeEvent, encodeEvent } from '../../src/stores/codec.js'

const bytes = (event: { readonly body: Uint8Array }) => Buffer.from(event.body).toString('hex')

describe('the codec', () => {
  it('every body keeps every byte, and no text has what a database refuses', () => {
    const samples = [[], [0], [0xff, 0xfe], [0xef, 0xbb, 0xbf, 0x41], [0xed, 0xa0, 0x80], [0x22, 0x5c, 0x0a]]
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: 'binary' }), (body, header) => {
        const event = toMessage({ type: 'T', source: 's', body, headers: { header } }, systemClock)
        const text = encodeEvent(event)
        expect(text).not.toContain('\u0000')
        expect(Buffer.from(text).toString()).toBe(text)
        const back = decodeEvent(text)
        expect(bytes(back)).toBe(bytes(event))
        expect(back.headers['header']).toBe(header)
      }),
      { examples: samples.map((sample) => [Uint8Array.from(sample), '\u0000\ud800']) },
    )
  })
})
