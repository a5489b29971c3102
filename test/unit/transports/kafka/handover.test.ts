import { describe, expect, it } from 'vitest'
import { toMessage } from '../../../../src/core/event.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { native } from '../../../../src/transports/kafka/binding.js'
import { Handover, type HandoverParts } from '../../../../src/transports/kafka/handover.js'
import { PartitionLog } from '../../../../src/transports/kafka/partition-log.js'

const clock = createFakeClock()
const log = new PartitionLog({ next: 0n })

function record(type: string, offset: bigint) {
  const { key, value, headers } = native.toRecord(toMessage({ type, source: 's', data: {} }, clock), 'requests')
  return { topic: 'requests', partition: 0, offset, timestamp: 0, key, value, headers: [...headers] }
}

/** A handover of requests or results, and what it has handed out and said. */
function open(channel: 'requests' | 'results') {
  const handled: string[] = []
  const warnings: string[] = []
  const parts: HandoverParts = {
    ...{ binding: native, clock, warn: (text: string) => warnings.push(text) },
    subscription: { channel, types: ['A'], reading: { kind: 'shared', group: 'workers' } },
    onMessage: async ({ type }) => {
      handled.push(type)
      return 'ack'
    },
    park: async () => {},
    failed: () => {},
    isWanted: () => true,
    position: () => '',
    settled: () => {},
  }
  return { handover: new Handover(parts), handled, warnings }
}

describe('types that a group of workers on Kafka does not handle', () => {
  it('are passed over, and told of once for each', () => {
    const { handover, handled, warnings } = open('requests')
    for (const [at, type] of ['B', 'A', 'B', 'C', 'A', 'C'].entries())
      handover.take(0 as never, log, record(type, BigInt(at)))
    handover.pump()
    expect(handled).toEqual(['A', 'A'])
    expect(warnings).toEqual([
      expect.stringMatching(
        /^Requests B of requests have no handler here .* group workers\. .* handle B another one\.$/,
      ),
      expect.stringMatching(/^Requests C of /),
    ])
  })

  it('no more of them than anybody would read of', () => {
    const { handover, warnings } = open('requests')
    for (let at = 0; at < 100; at += 1) handover.take(0 as never, log, record(`Type${at}`, BigInt(at)))
    expect(warnings).toHaveLength(20)
  })

  it('are no news among results, which many read', () => {
    const { handover, handled, warnings } = open('results')
    handover.take(0 as never, log, record('B', 0n))
    handover.pump()
    expect([handled, warnings]).toEqual([['B'], []])
  })
})
