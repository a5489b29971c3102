import type { EventMessage, NewOperation, Store } from 'respond-async'
import { CREATED, REQUESTED } from './spec.js'

const HOUR_MS = 3_600_000
const FILLING = 1000

/** What a hand-written gateway with a store does before it publishes, and when a result comes. */
export class Keeper {
  readonly #store: Store
  /** Endings that one of the two copies of a result has begun, and the other is about to ask for. */
  readonly #endings = new Map<string, Promise<unknown>>()

  constructor(store: Store) {
    this.#store = store
  }

  async begin(request: EventMessage): Promise<void> {
    await this.#store.create(operationOf(request))
  }

  /** Resolves when the store has the result; the second copy in this process waits for the first one. */
  end(id: string, result: EventMessage): Promise<unknown> {
    const begun = this.#endings.get(id)
    if (begun !== undefined) {
      this.#endings.delete(id)
      return begun
    }
    const ending = this.#store.complete(id, { state: 'succeeded', result, command: REQUESTED })
    this.#endings.set(id, ending)
    return ending
  }
}

function operationOf(request: EventMessage): NewOperation {
  return { id: request.id, command: REQUESTED, request, ttlMs: HOUR_MS, retentionMs: HOUR_MS }
}

/** Puts so many operations into a store that have ended, as most have that a store keeps. */
export async function fill(store: Store, rows: number): Promise<void> {
  const body = Buffer.from('{"username":"ada"}')
  let left = rows
  const loop = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      const id = `row-${left}`
      await store.create(operationOf(eventOf(REQUESTED, id, body)))
      await store.complete(id, { state: 'succeeded', result: eventOf(CREATED, id, body), command: REQUESTED })
    }
  }
  await store.start()
  await Promise.all(Array.from({ length: FILLING }, loop))
  await store.close()
}

/** The event of a message, as a store keeps it. */
export function eventOf(type: string, correlationId: string, body: Uint8Array): EventMessage {
  const rest = { contentType: 'application/json', headers: {}, source: 'hand-written', time: Date.now() }
  return { id: type === REQUESTED ? correlationId : `result-${correlationId}`, type, correlationId, body, ...rest }
}
