import { describe, expect, it } from 'vitest'
import { committedOf as ofKafkajs } from '../../../../src/transports/kafka/kafkajs/committed.js'
import type { KafkajsBatch, KafkajsRawMessage } from '../../../../src/transports/kafka/kafkajs/types.js'
import { committedOf } from '../../../../src/transports/kafka/platformatic/committed.js'

/**
 * What stands at an offset: a letter is a record of a producer, `A!` and `A.` are its abort and its commit, `-` is no
 * part of a transaction.
 */
type Note = string

const isNote = (what: Note) => what.length > 1
const noteKey = (what: Note) => Buffer.from([0, 0, 0, what.endsWith('!') ? 0 : 1])

/** A fetch of the log from an offset on, with the aborted transactions as brokers tell them. */
function fetched(log: readonly Note[], from = 0, to = log.length) {
  const aborted: { producerId: bigint; firstOffset: bigint }[] = []
  for (const [end, what] of log.entries()) {
    if (!what.endsWith('!') || end < from) continue
    const before = log.slice(0, end)
    const previous = Math.max(...[`${what[0]}!`, `${what[0]}.`].map((one) => before.lastIndexOf(one)))
    const first = before.indexOf(what[0] ?? '', previous + 1)
    if (first >= 0 && first < to) aborted.push({ producerId: producerOf(what), firstOffset: BigInt(first) })
  }
  const batches = log.slice(from, to).map((what, at) => ({
    firstOffset: BigInt(from + at),
    lastOffsetDelta: 0,
    attributes: (isNote(what) ? 1 << 5 : 0) | (what === '-' ? 0 : 1 << 4),
    producerId: producerOf(what),
    records: [{ key: isNote(what) ? noteKey(what) : null }],
  }))
  return { records: batches, abortedTransactions: aborted } as never
}

const producerOf = (what: Note) => (what === '-' ? -1n : BigInt(what.charCodeAt(0)))
const offsets = (...args: Parameters<typeof fetched>) =>
  committedOf(fetched(...args)).map(({ firstOffset }) => Number(firstOffset))

describe('FM-C15 what is committed of a fetch by @platformatic/kafka', () => {
  it.each<[string, Note[], number[]]>([
    ['two aborted transactions of one producer', ['A', 'A!', 'A', 'A!', 'A', 'A.'], [4]],
    ['a committed one between aborted ones', ['A', 'A!', 'A', 'A.', 'A', 'A!'], [2]],
    ['aborted ones of two producers, the first begun last', ['B', 'A', 'B', 'A!', 'A', 'B', 'A.', 'B!'], [4]],
    ['an aborted one without a record behind a committed one', ['A', 'A!', 'A', 'A.', 'A!', 'A', 'A.'], [2, 5]],
    ['an aborted one without a record, of another producer', ['A', 'B!', 'A!', 'B', 'B.'], [3]],
    ['records outside of transactions', ['-', 'A', '-', 'A!', '-'], [0, 2, 4]],
  ])('%s', (_, log, expected) => {
    expect(offsets(log)).toEqual(expected)
  })

  it('where the transactions began before the fetch, or end behind it', () => {
    const log = ['A', 'B', 'A', 'B', 'B.', 'A', 'A!', 'A', 'A', 'A!']
    expect(offsets(log, 2)).toEqual([3])
    expect(offsets(log, 2, 6)).toEqual([3])
    expect(offsets(log, 6, 8)).toEqual([])
  })

  it('all of it where the broker has no list', () => {
    expect(committedOf({ ...(fetched(['A', 'A.']) as object), abortedTransactions: null } as never)).toHaveLength(1)
    expect(committedOf({} as never)).toEqual([])
  })
})

describe('FM-C15 what is committed of a batch of kafkajs', () => {
  it('is without what a note behind it aborts, whatever kafkajs itself has left out', () => {
    const log = ['B', 'A', 'B', 'A!', 'A', '-', 'B', 'A.', 'B!', 'A']
    const rawMessages = log.map((what, at) => ({
      offset: `${at}`,
      key: isNote(what) ? noteKey(what) : null,
      isControlRecord: isNote(what),
      batchContext: { producerId: what[0] ?? '', inTransaction: what !== '-' },
    })) as KafkajsRawMessage[]
    const messages = rawMessages.filter(({ isControlRecord }) => isControlRecord !== true)
    const committed = ofKafkajs({ messages, rawMessages } as KafkajsBatch)
    expect(committed.map(({ offset }) => Number(offset))).toEqual([4, 5, 9])
    expect(ofKafkajs({ messages } as KafkajsBatch)).toBe(messages)
  })
})
