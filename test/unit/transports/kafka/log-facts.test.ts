import { describe, expect, it } from 'vitest'
import { toSettings } from '../../../../src/transports/kafka/client.js'
import { logFactsOf } from '../../../../src/transports/kafka/log-facts.js'

const kept = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' }
const of = (...topics: Record<string, string>[]) =>
  logFactsOf(new Map(topics.map((given, n) => [`t${n}`, { partitions: 1, ...toSettings((name) => given[name]) }])))

describe('what topics are as a log', () => {
  it('is whole without limits', () => {
    expect(of(kept, kept)).toEqual({ log: { isCompacted: false, dropsOld: undefined }, unknown: [] })
  })

  it('drops old events where one topic has a limit, which is named', () => {
    expect(of(kept, { ...kept, 'retention.ms': '1000' }).log.dropsOld).toBe('retention.ms=1000')
    expect(of({ ...kept, 'retention.bytes': '5' }).log.dropsOld).toBe('retention.bytes=5')
  })

  it('is compacted with any policy that says so; limits count only with `delete`', () => {
    const limited = { ...kept, 'retention.ms': '1000' }
    expect(of({ ...limited, 'cleanup.policy': 'compact' }).log).toEqual({ isCompacted: true, dropsOld: undefined })
    expect(of({ ...limited, 'cleanup.policy': 'compact,delete' }).log).toEqual({
      isCompacted: true,
      dropsOld: 'retention.ms=1000',
    })
  })

  it('is taken for whole where the broker does not say, and that is told', () => {
    const unknown = ['cleanup.policy of t0', 'retention.ms of t0', 'retention.bytes of t0']
    expect(of({})).toEqual({ log: { isCompacted: false, dropsOld: undefined }, unknown })
  })
})
