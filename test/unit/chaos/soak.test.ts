import { describe, expect, it } from 'vitest'
import { leaksOf, slopeOf, type Usage } from '../../chaos/soak.js'

const MINUTE_MS = 60_000
const FIVE = ['Timeout', 'Timeout', 'TCPSocketWrap', 'TCPSocketWrap', 'TCPServerWrap']

/** Half an hour of samples, each 30 seconds, with a heap by the minute. */
function samples(heapAt: (minute: number) => number): Usage[] {
  return Array.from({ length: 60 }, (_, i) => ({
    at: (i / 2) * MINUTE_MS,
    heapUsed: heapAt(i / 2),
    pending: 0,
    resources: FIVE,
    listeners: 3,
  }))
}

const idle: Usage = { at: 0, heapUsed: 0, pending: 0, resources: FIVE, listeners: 3 }
const saw = (minute: number) => 50e6 + (Math.round(minute * 2) % 2) * 2e6

describe('the soak', () => {
  it('measures the slope of the heap behind the warm-up', () => {
    expect(slopeOf(samples((minute) => 50e6 + minute * 1e6))).toBeCloseTo(60e6, -3)
    expect(slopeOf(samples((minute) => (minute < 10 ? minute * 5e6 : 50e6)))).toBe(0)
    expect(slopeOf([])).toBe(0)
  })

  it('finds nothing against a heap that only goes up and down', () => {
    expect([...leaksOf(samples(saw), idle, idle)]).toEqual([])
  })

  it.each<[string, Usage[], Partial<Usage>]>([
    ['the heap grows by 6.0 MB an hour', samples((minute) => 50e6 + minute * 1e5), {}],
    ['3 requests wait that nobody asked for', samples(saw), { pending: 3 }],
    [
      '5 timers and sockets became 105 (Timeout 2 -> 102)',
      samples(saw),
      { resources: [...FIVE, ...Array.from({ length: 100 }, () => 'Timeout')] },
    ],
    ['3 listeners to one event became 9', samples(saw), { listeners: 9 }],
    ['only 5 samples, which says nothing; take 30 or more', samples(saw).slice(0, 5), {}],
  ])('finds: %s', (leak, taken, after) => {
    expect([...leaksOf(taken, idle, { ...idle, ...after })].map((found) => found.replace(/6\.\d/, '6.0'))).toContain(
      leak,
    )
  })
})
