import { describe, expect, it, vi } from 'vitest'
import type { Reading } from '../../../../src/core/transport.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import type { KafkaClient } from '../../../../src/transports/kafka/client.js'
import { kafka } from '../../../../src/transports/kafka/index.js'
import { Late } from '../../../../src/transports/kafka/late.js'

function warningsAt(ageMs: number, retentionMs: number | undefined): string[] {
  const warnings: string[] = []
  const clock = createFakeClock()
  const warn = (text: string) => void warnings.push(text)
  const late = new Late({ clock, group: 'orders.recorder', retentionMsOf: () => retentionMs, warn })
  late.sees({ topic: 'users.results', timestamp: clock.now() - ageMs })
  return warnings
}

/** Reads a record that is a minute old from a topic whose retention is the given one, and closes again. */
async function readOld(reading: Reading, retentionMs: number): Promise<string[]> {
  const idle = async () => {}
  const first = async () => new Map([['users.results:0', 0n]])
  const record = { topic: 'users.results', partition: 0, offset: 0n, timestamp: Date.now() - 60_000, key: null }
  const client: Partial<KafkaClient> = {
    connect: idle,
    close: idle,
    produce: idle,
    describe: async () => new Map([['users.results', { partitions: 1, cleanupPolicy: 'delete', retentionMs }]]),
    offsets: first,
    read: async (request) => {
      await request.assigned({ partitions: ['users.results:0'], isLeader: true, committed: first, commit: idle })
      request.received('users.results:0', [{ ...record, value: Buffer.from('1'), headers: [] }], 1n)
      return { pause() {}, resume() {}, commit: idle, close: idle }
    },
  }
  const warn = vi.spyOn(process, 'emitWarning').mockReturnValue()
  try {
    const transport = kafka({ client: client as KafkaClient, topics: { results: 'users.results' } })
    await transport.start()
    await transport.subscribe({ channel: 'results', types: ['Done'], reading }, async () => 'ack')
    await transport.close()
    return warn.mock.calls.map(([text]) => String(text))
  } finally {
    warn.mockRestore()
  }
}

describe('FM-C10 a group that is behind', () => {
  it('is told of when half of the retention of what it reads is over', () => {
    expect(warningsAt(30_000, 60_000)).toEqual([
      expect.stringMatching(/orders\.recorder reads records of users\.results that are 30 s old.*retention\.ms=60000/),
    ])
  })

  it.each([
    ['there is more time left', 29_999, 60_000],
    ['there is no limit', 1e12, -1],
    ['the limit is not known', 1e12, undefined],
  ])('is not told of when %s', (_, ageMs, retentionMs) => {
    expect(warningsAt(ageMs, retentionMs)).toEqual([])
  })

  it('is one that shares what it reads: whoever has a copy of its own loses no result by it', async () => {
    const shared = await readOld({ kind: 'shared', group: 'orders.recorder', concurrency: 1 }, 100_000)
    expect(shared).toEqual([expect.stringContaining('The group orders.recorder reads records of users.results')])
    expect(await readOld({ kind: 'own' }, 100_000)).toEqual([])
    expect(await readOld({ kind: 'shared', group: 'orders.recorder', concurrency: 1 }, 1_000_000)).toEqual([])
  })
})
