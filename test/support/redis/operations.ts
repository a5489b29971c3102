import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import { createId } from '../../../src/core/ids.js'
import type { Ending, NewOperation } from '../../../src/core/operation.js'

/** A request to create an operation that outlives any test. */
export function newOperation(init: Partial<NewOperation> = {}): NewOperation {
  const id = createId(Date.now())
  const request = toMessage({ type: 'Do', source: 'test', correlationId: id, data: { n: 1 } }, systemClock)
  return { id, command: 'Do', request, ttlMs: 600_000, retentionMs: 600_000, ...init }
}

/** An ending by a result event with this id. */
export function resultOf(id: string): Ending {
  return { state: 'succeeded', command: 'Do', result: toMessage({ id, type: 'Done', source: 'test' }, systemClock) }
}
