import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatServerSentEvent, SERVER_SENT_KEEP_ALIVE, type ServerSentEvent } from '../../../src/http/sse.js'

const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\r', '\n', '\0', ':', ' ', 'data: x', 'id', '\ufeff', 'é'),
    fc.string({ maxLength: 2 }),
  ),
  maxLength: 12,
})
const event: fc.Arbitrary<ServerSentEvent> = fc.record(
  { id: hostile, event: hostile, data: hostile, retry: fc.oneof(fc.nat(), fc.double()) },
  { requiredKeys: ['data'] },
)

interface Received {
  id: string
  event: string
  data: string
}

/** Reads a stream as WHATWG HTML section 9.2.6 tells a client to. */
function receive(stream: string): Received[] {
  const received: Received[] = []
  let [id, event, data] = ['', '', '']
  for (const line of stream.split(/\r\n|\r|\n/)) {
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (line === '') {
      if (data !== '') received.push({ id, event: event || 'message', data: data.slice(0, -1) })
      ;[event, data] = ['', '']
    } else if (field === 'data') data += `${value}\n`
    else if (field === 'event') event = value
    else if (field === 'id' && !value.includes('\0')) id = value
    else if (field === 'retry') expect(value).toMatch(/^\d+$/)
  }
  return received
}

function clean(text: string): string {
  return text.split(/[\r\n\0]/).join('')
}

describe('formatServerSentEvent', () => {
  it('L02 L03 L04 FM-H24 a client receives exactly the messages that were sent, whatever they hold', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), (events) => {
        let id = ''
        const expected = events.map((one) => {
          id = one.id === undefined ? id : clean(String(one.id))
          return { id, event: clean(one.event ?? '') || 'message', data: one.data.split(/\r\n|\r|\n/).join('\n') }
        })
        expect(receive(events.map(formatServerSentEvent).join(SERVER_SENT_KEEP_ALIVE))).toEqual(expected)
      }),
      { numRuns: 2000 },
    )
  })
})
