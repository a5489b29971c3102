import { describe, expect, it } from 'vitest'
import { formatServerSentEvent, SERVER_SENT_KEEP_ALIVE } from '../../../src/http/sse.js'

describe('formatServerSentEvent', () => {
  it('L02 a message ends with a blank line', () => {
    expect(formatServerSentEvent({ data: '' })).toBe('data: \n\n')
    expect(formatServerSentEvent({ id: 3, event: 'status', data: '{}', retry: 2000 })).toBe(
      'event: status\nid: 3\nretry: 2000\ndata: {}\n\n',
    )
  })

  it('L03 every line of the data gets a field of its own, whatever ends the line', () => {
    expect(formatServerSentEvent({ data: 'a\nb\rc\r\nd\n' })).toBe('data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n')
  })

  it('L04 FM-H24 an id loses NUL, CR and LF, an event name CR and LF', () => {
    expect(formatServerSentEvent({ id: '1\n\ndata: x\r\0', event: 'a\r\nid: 9', data: 'ok' })).toBe(
      'event: aid: 9\nid: 1data: x\ndata: ok\n\n',
    )
  })

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e21])('L04 a retry of %s is left out', (retry) => {
    expect(formatServerSentEvent({ data: 'x', retry })).toBe('data: x\n\n')
  })

  it('L08 the keep-alive is an empty comment', () => {
    expect(SERVER_SENT_KEEP_ALIVE).toBe(':\n\n')
  })
})
