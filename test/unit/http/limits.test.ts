import { describe, expect, it } from 'vitest'
import { OpenStreams, ReadRate } from '../../../src/http/limits.js'

describe('OpenStreams', () => {
  it('L12 FM-H20 counts all streams, and those of each operation, in and out', () => {
    const streams = new OpenStreams({ maxStreams: 3, maxStreamsPerOperation: 2 })
    const close = [streams.open('a'), streams.open('a')]
    expect(() => streams.assertRoom('a')).toThrow(expect.objectContaining({ code: 'ERR_TOO_MANY_REQUESTS' }))
    streams.assertRoom('b')
    close.push(streams.open('b'))
    expect(() => streams.assertRoom('b')).toThrow(expect.objectContaining({ code: 'ERR_OVERLOADED' }))
    for (const each of close) each()
    streams.assertRoom('a')
    streams.open('a')
    streams.assertRoom('a')
  })
})

describe('ReadRate', () => {
  it('D28 FM-E9 refuses what is read more often than allowed, until the second is over', () => {
    const reads = new ReadRate(2)
    for (const at of [0, 999]) reads.count('a', at)
    expect(() => reads.count('a', 999)).toThrow(
      expect.objectContaining({
        code: 'ERR_TOO_MANY_REQUESTS',
        details: expect.objectContaining({ retryAfterSeconds: 1 }),
      }),
    )
    reads.count('b', 999)
    reads.count('a', 1000)
  })
})
