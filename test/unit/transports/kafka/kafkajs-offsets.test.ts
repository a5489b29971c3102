import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { topicOffsets } from '../../../../src/transports/kafka/kafkajs/offsets.js'

const OFFSETS = [{ partition: 0, high: '7', low: '0' }]

/** An admin whose first answers are errors of these types. */
function adminWith(...types: string[]) {
  let asked = 0
  const fetchTopicOffsets = async () => {
    const type = types[asked++]
    if (type !== undefined) throw Object.assign(new Error(type), { cause: Object.assign(new Error(type), { type }) })
    return OFFSETS
  }
  return { fetchTopicOffsets, asked: () => asked }
}

describe('the offsets of a topic by kafkajs', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('are asked for again while a broker does not know yet what it leads', async () => {
    const admin = adminWith('NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE')
    const offsets = topicOffsets(admin, 'new')
    await vi.advanceTimersByTimeAsync(200)
    expect(await offsets).toBe(OFFSETS)
    expect(admin.asked()).toBe(3)
  })

  it('are refused at once for what does not pass', async () => {
    const admin = adminWith('TOPIC_AUTHORIZATION_FAILED')
    await expect(topicOffsets(admin, 'forbidden')).rejects.toThrow('TOPIC_AUTHORIZATION_FAILED')
    expect(admin.asked()).toBe(1)
  })

  it('are refused when no broker leads the topic for two seconds', async () => {
    const admin = adminWith(...Array.from({ length: 20 }, () => 'NOT_LEADER_FOR_PARTITION'))
    const refused = expect(topicOffsets(admin, 'lost')).rejects.toThrow('NOT_LEADER_FOR_PARTITION')
    await vi.advanceTimersByTimeAsync(1900)
    await refused
    expect(admin.asked()).toBe(20)
  })
})
