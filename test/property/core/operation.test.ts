import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventMessage } from '../../../src/core/event.js'
import { advance, type Ending, isEnded, type Operation, SEQUENCE_HEADER, settle } from '../../../src/core/operation.js'

const RUNS = { numRuns: 3000 }

const message = fc
  .record({ id: fc.constantFrom('e1', 'e2', 'e3', 'e4'), type: fc.constantFrom('Done', 'NotDone') })
  .map(
    ({ id, type }): EventMessage => ({
      id,
      type: `${type}-${id}`,
      source: '',
      time: 0,
      headers: {},
      contentType: '',
      body: new Uint8Array(),
    }),
  )

const error = { code: 'ERR_OPERATION_CANCELED', message: '' } as const

const ending: fc.Arbitrary<Ending> = fc.oneof(
  fc.record({
    state: fc.constantFrom('succeeded', 'failed'),
    result: message,
    command: fc.constantFrom('Ask', 'Ask', 'Tell'),
  }),
  fc.record({ state: fc.constantFrom('failed', 'canceled', 'expired'), error: fc.constant(error) }),
  fc.record({
    state: fc.constant('canceled' as const),
    error: fc.constant(error),
    ifVersion: fc.nat(3),
    releaseKey: fc.boolean(),
  }),
)

const running: Operation = {
  ...{ id: 'a', command: 'Ask', state: 'running', version: 1, published: false },
  ...{ createdAt: 0, updatedAt: 0, expiresAt: 10, retentionMs: 5, idempotency: { key: 'k', fingerprint: 'f' } },
}

describe('settle', () => {
  it('FM-P3 FM-P4 whatever comes in whatever order, an operation ends once and never changes its story', () => {
    fc.assert(
      fc.property(fc.array(ending, { maxLength: 12 }), (endings) => {
        let operation = running
        let wins = 0
        for (const [now, each] of endings.entries()) {
          const before = operation
          const settled = settle(before, each, now)
          operation = settled.operation
          if (settled.verdict === 'won') wins += 1
          expect(settled.verdict === 'won').toBe(!isEnded(before) && isEnded(operation))
          if (isEnded(before)) {
            const { lateResult: _, conflictingResult: __, ...story } = operation
            expect(before).toMatchObject(story)
          }
          expect(['late', 'conflict', 'won'].includes(settled.verdict) || operation === before).toBe(true)
          // The same event again is never news.
          if (
            'result' in each &&
            settled.verdict !== 'foreign' &&
            settled.verdict !== 'duplicate' &&
            settled.verdict !== 'conflict'
          ) {
            expect(settle(operation, each, now).verdict).toBe('same')
          }
          expect(operation.command).toBe('Ask')
        }
        expect(wins).toBe(isEnded(operation) ? 1 : 0)
        expect(isEnded(operation)).toBe(endings.length > 0 && operation.version === 2)
      }),
      RUNS,
    )
  })
})

describe('advance', () => {
  it('FM-A12 the number of the progress grows, in whatever order and however often the events come', () => {
    const progress = fc.record({ number: fc.option(fc.integer({ min: -1, max: 6 })), id: fc.nat(4), time: fc.nat(3) })
    fc.assert(
      fc.property(fc.array(progress, { maxLength: 15 }), (events) => {
        let operation = running
        for (const { number, id, time } of events) {
          const headers = number === null ? {} : { [SEQUENCE_HEADER]: String(number) }
          const event = {
            id: `p${id}`,
            type: 'Half',
            source: '',
            time,
            headers,
            contentType: '',
            body: new Uint8Array(),
          }
          const after = advance(operation, event, 1)
          if (after === undefined) continue
          expect(after.progress?.sequence).toBeGreaterThan(operation.progress?.sequence ?? 0)
          expect(after).toMatchObject({ state: 'running', version: operation.version + 1, progress: { event } })
          if (number !== null && number >= 0) expect(after.progress?.sequence).toBe(number)
          operation = after
        }
      }),
      RUNS,
    )
  })
})
