import { describe, expect, it } from 'vitest'
import { joinTrace } from '../../../src/core/trace.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const STARTED = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-02$/

describe('joinTrace', () => {
  it.each([
    ['01', '01'],
    ['00', '00'],
    ['03', '03'],
    ['ff', '03'],
  ])('M06 M09 keeps the trace, with a parent id of its own and the flags %s as %s', (given, kept) => {
    const { traceparent } = joinTrace(`00-${TRACE}-${PARENT}-${given}`, undefined)
    expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!${PARENT})[0-9a-f]{16}-${kept}$`))
  })

  it('M03 reads the beginning of a later version, and writes version 00', () => {
    for (const more of ['', '-what-comes']) {
      expect(joinTrace(`cc-${TRACE}-${PARENT}-01${more}`, undefined).traceparent).toMatch(new RegExp(`^00-${TRACE}-`))
    }
  })

  it.each([
    undefined,
    '',
    '00-1',
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `ff-${TRACE}-${PARENT}-01`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
    `cc-${TRACE}-${PARENT}-01more`,
  ])('M01 M02 M04 M07 starts a new trace for %s, without the tracestate', (given) => {
    expect(joinTrace(given, 'a=b')).toEqual({ traceparent: expect.stringMatching(STARTED) })
  })

  it.each(['a=b', 'a=1,b@c=2 , ,d=x', Array.from({ length: 32 }, (_, n) => `k${n}=v`).join(',')])(
    'M05 keeps %s',
    (state) => {
      expect(joinTrace(`00-${TRACE}-${PARENT}-01`, state).tracestate).toBe(state)
    },
  )

  it.each(['', ' ', 'a', 'A=b', 'a=b,a=c', 'a=b=c', Array.from({ length: 33 }, (_, n) => `k${n}=v`).join(',')])(
    'M04 M05 drops the tracestate %j alone',
    (state) => {
      const joined = joinTrace(`00-${TRACE}-${PARENT}-01`, state)
      expect([joined.tracestate, joined.traceparent.slice(3, 35)]).toEqual([undefined, TRACE])
    },
  )
})
