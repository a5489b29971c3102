import { randomBytes } from 'node:crypto'
import { systemClock } from '../../src/core/clock.js'
import { type EventMessage, toMessage } from '../../src/core/event.js'
import type { Ending, NewOperation } from '../../src/core/operation.js'

/** A request to create an operation, for tests of stores. */
export function newOperation(init: Partial<NewOperation> = {}): NewOperation {
  const id = init.id ?? randomBytes(8).toString('hex')
  const request = eventOf('Test::Asked', { correlationId: id })
  return { id, command: request.type, request, ttlMs: 600_000, retentionMs: 600_000, ...init }
}

/** An ending by a result event. */
export function resultOf(id: string, init: Partial<EventMessage> = {}): Ending & { readonly result: EventMessage } {
  return { state: 'succeeded', result: eventOf('Test::Answered', { id, ...init }), command: 'Test::Asked' }
}

/** A progress event, which is numbered by nobody. */
export function progressOf(id: string): EventMessage {
  return eventOf('Test::Progressed', { id })
}

function eventOf(type: string, init: Partial<EventMessage> & { readonly data?: unknown } = {}): EventMessage {
  return toMessage({ type, source: 'test', data: { text: 'grün ✓' }, ...init }, systemClock)
}

/** Runs calls at the same time. */
export function atOnce<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)))
}
