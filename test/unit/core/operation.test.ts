import { describe, expect, it } from 'vitest'
import { type EventMessage, toMessage } from '../../../src/core/event.js'
import { advance, type Ending, isEnded, type Operation, SEQUENCE_HEADER, settle } from '../../../src/core/operation.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

const clock = createFakeClock()

function event(type: string, more: Partial<EventMessage> = {}): EventMessage {
  return toMessage({ type, source: 'worker', ...more }, clock)
}

function running(more: Partial<Operation> = {}): Operation {
  const times = { createdAt: 100, updatedAt: 100, expiresAt: 1000, retentionMs: 5000 }
  const idempotency = { key: 'k', fingerprint: 'f' }
  const request = event('Ask')
  return {
    id: 'a',
    command: 'Ask',
    state: 'running',
    version: 1,
    published: false,
    request,
    key: 'a key',
    idempotency,
    ...times,
    ...more,
  }
}

function byResult(result: EventMessage, state: 'succeeded' | 'failed' = 'succeeded', command = 'Ask'): Ending {
  return { state, result, command }
}

function canceled(more: object = {}): Ending {
  return { state: 'canceled', error: { code: 'ERR_OPERATION_CANCELED', message: 'x' }, ...more }
}

const done = event('Done')

describe('settle', () => {
  it('FM-P3 the first result ends the operation, and proves that its request was published', () => {
    const before = running()
    const { verdict, operation } = settle(before, byResult(done), 200)
    expect(verdict).toBe('won')
    expect(operation).toEqual({
      ...{ ...before, state: 'succeeded', version: 2, updatedAt: 200, expiresAt: 5200 },
      ...{ published: true, request: undefined, result: done, error: undefined },
    })
    expect(before.state).toBe('running')
    expect([isEnded(before), isEnded(operation)]).toEqual([false, true])
  })

  it('an ending without a result has an error, and must not be published any more', () => {
    const { verdict, operation } = settle(running(), canceled(), 200)
    expect(verdict).toBe('won')
    expect(operation).toMatchObject({ state: 'canceled', published: false, request: undefined, result: undefined })
    expect(operation.error).toEqual({ code: 'ERR_OPERATION_CANCELED', message: 'x' })
    expect(operation.idempotency).toEqual({ key: 'k', fingerprint: 'f' })
    expect(settle(running({ published: true }), canceled(), 200).operation.published).toBe(true)
  })

  it('frees the key where nothing has happened', () => {
    expect(settle(running(), canceled({ releaseKey: true }), 200).operation.idempotency).toBeUndefined()
  })

  it('E07 ends only the version that it means', () => {
    expect(settle(running({ version: 3 }), canceled({ ifVersion: 2 }), 200).verdict).toBe('stale')
    expect(settle(running({ version: 3 }), canceled({ ifVersion: 3 }), 200).verdict).toBe('won')
    const ended = settle(running(), canceled(), 200).operation
    expect(settle(ended, canceled({ ifVersion: 1 }), 300).verdict).toBe('ended')
  })

  it('FM-P8 an ending for another command is none', () => {
    const before = running()
    expect(settle(before, byResult(done, 'succeeded', 'Tell'), 200)).toEqual({ verdict: 'foreign', operation: before })
    expect(settle(before, canceled({ command: 'Tell' }), 200).verdict).toBe('foreign')
  })

  describe('PEER-T7 after the end', () => {
    const ended = settle(running(), byResult(done), 200).operation

    it('FM-C17 the same event again changes nothing', () => {
      expect(settle(ended, byResult(done), 300)).toEqual({ verdict: 'same', operation: ended })
    })

    it('FM-A4 another event of the same type is a duplicate', () => {
      expect(settle(ended, byResult(event('Done')), 300)).toEqual({ verdict: 'duplicate', operation: ended })
    })

    it('FM-A5 an event of another type is kept as the contradiction that it is; the end stands', () => {
      const contradiction = event('NotDone')
      const { verdict, operation } = settle(ended, byResult(contradiction, 'failed'), 300)
      expect(verdict).toBe('conflict')
      expect(operation).toEqual({ ...ended, conflictingResult: contradiction })
      expect(settle(operation, byResult(contradiction, 'failed'), 300).verdict).toBe('same')
      const third = settle(operation, byResult(event('Neither'), 'failed'), 300)
      expect(third).toEqual({ verdict: 'conflict', operation })
    })

    it('FM-D7 the first result after an end without one is kept as late, and ends nothing', () => {
      const expired = settle(running(), { ...canceled(), state: 'expired' } as Ending, 200).operation
      const { verdict, operation } = settle(expired, byResult(done), 300)
      expect(verdict).toBe('late')
      expect(operation).toEqual({ ...expired, lateResult: done })
      expect(settle(operation, byResult(done), 300).verdict).toBe('same')
      expect(settle(operation, byResult(event('NotDone'), 'failed'), 300)).toEqual({ verdict: 'duplicate', operation })
    })

    it('FM-D6 an ending that brings no result changes nothing', () => {
      expect(settle(ended, canceled(), 300)).toEqual({ verdict: 'ended', operation: ended })
    })
  })
})

describe('advance', () => {
  function numbered(sequence: string): EventMessage {
    return event('Ask::Progress', { headers: { [SEQUENCE_HEADER]: sequence } })
  }

  it('keeps the latest progress, and each change is a new version', () => {
    const progress = event('Ask::Progress')
    const after = advance(running(), progress, 300)
    expect(after).toEqual({
      ...running(),
      request: after?.request,
      version: 2,
      updatedAt: 300,
      progress: { sequence: 1, event: progress },
    })
    expect(after?.state).toBe('running')
  })

  it('FM-A12 drops what is older than what is known', () => {
    const after = advance(running(), numbered('7'), 300)
    expect(after?.progress?.sequence).toBe(7)
    expect(after && advance(after, numbered('7'), 400)).toBeUndefined()
    expect(after && advance(after, numbered('6'), 400)).toBeUndefined()
    expect(after && advance(after, numbered('8'), 400)?.progress?.sequence).toBe(8)
  })

  it.each(['x', '-1', '1.5', '', '1234567890123456'])(
    'counts by itself where the number makes no sense: %j',
    (sequence) => {
      expect(advance(running(), numbered(sequence), 300)?.progress?.sequence).toBe(1)
    },
  )

  it('FM-A12 takes an event without a number once, though two readers bring it, and not behind a newer one', async () => {
    const first = event('Ask::Progress')
    await clock.advance(1)
    const second = event('Ask::Progress')
    const one = advance(running(), first, 300) ?? running()
    expect(advance(one, first, 300)).toBeUndefined()
    const two = advance(one, second, 300) ?? running()
    expect(two.progress).toEqual({ sequence: 2, event: second })
    expect(advance(two, first, 300)).toBeUndefined()
    // Of the same time, but another event.
    expect(advance(two, event('Ask::Progress'), 300)?.progress?.sequence).toBe(3)
  })

  it('comes too late after the end', () => {
    const ended = settle(running(), byResult(done), 200).operation
    expect(advance(ended, event('Ask::Progress'), 300)).toBeUndefined()
  })
})
