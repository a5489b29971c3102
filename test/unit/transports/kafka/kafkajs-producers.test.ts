import { describe, expect, it } from 'vitest'
import { Producers } from '../../../../src/transports/kafka/kafkajs/producers.js'
import type { KafkajsProducer } from '../../../../src/transports/kafka/kafkajs/types.js'

const batch = (topic: string) => ({ acks: -1, timeout: 1, topicMessages: [{ topic, messages: [] }] })

/** As kafkajs does: each call asks for all topics that its producer has ever written to. */
function setup() {
  const existing = new Set(['a', 'b'])
  const made: { written: Set<string>; isOpen: boolean }[] = []
  let gate: Promise<void> | undefined
  const make = (): KafkajsProducer => {
    const state = { written: new Set<string>(), isOpen: false }
    made.push(state)
    return {
      async connect() {
        state.isOpen = true
      },
      async disconnect() {
        state.isOpen = false
      },
      async sendBatch({ topicMessages }) {
        await gate
        const topics = [...state.written, ...topicMessages.map(({ topic }) => topic)]
        if (!state.isOpen) throw new Error('The producer is disconnected')
        if (topics.some((topic) => !existing.has(topic)))
          throw Object.assign(new Error('no such topic'), { type: 'UNKNOWN_TOPIC_OR_PARTITION' })
        for (const topic of topics) state.written.add(topic)
      },
    }
  }
  const hold = (promise: Promise<void> | undefined) => {
    gate = promise
  }
  return { existing, made, hold, producers: new Producers(make) }
}

describe('the producers of kafkajs', () => {
  it('FM-B6 write on when a topic is gone that one of them has written to', async () => {
    const { existing, made, producers } = setup()
    await producers.connect()
    await producers.send(batch('a'))
    existing.delete('a')
    await Promise.all([producers.send(batch('b')), producers.send(batch('b'))])
    await expect(producers.send(batch('a'))).rejects.toThrow('no such topic')
    await producers.send(batch('b'))
    expect(made.filter(({ isOpen }) => isOpen).length).toBe(1)
    await producers.close()
    expect(made.filter(({ isOpen }) => isOpen).length).toBe(0)
  })

  it('leave an old one its connection until it has written what it began', async () => {
    const { existing, made, hold, producers } = setup()
    await producers.connect()
    await producers.send(batch('a'))
    let open = () => {}
    hold(new Promise((resolve) => (open = resolve)))
    const first = producers.send(batch('b'))
    hold(undefined)
    existing.delete('a')
    await producers.send(batch('b'))
    expect(made.map(({ isOpen }) => isOpen)).toEqual([true, true])
    existing.add('a')
    open()
    await first
    expect(made.map(({ isOpen }) => isOpen)).toEqual([false, true])
    await producers.close()
  })
})
