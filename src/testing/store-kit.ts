import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../core/clock.js'
import { type EventMessage, toMessage } from '../core/event.js'
import { createId } from '../core/ids.js'
import type { Ending, NewOperation, Operation, Settled } from '../core/operation.js'
import type { Store } from '../core/store.js'
import { type Body, type ContractOptions, until } from './contract.js'

/** What a store is tested with. */
export interface StoreSetup {
  /** Not started, and empty. */
  readonly store: Store
  /** Moves the store's clock; without it the cases wait for real. */
  advance?(ms: number): Promise<void>
}

/** Long enough not to pass by itself in a case, short enough to be waited for. */
export const TTL_MS = 60

/** Tools for the store cases. */
export class StoreKit {
  readonly store: Store
  readonly create: () => Promise<StoreSetup> | StoreSetup
  readonly #advance: (ms: number) => Promise<unknown>
  readonly #options: ContractOptions

  constructor({ store, advance }: StoreSetup, create: StoreKit['create'], options: ContractOptions) {
    this.store = store
    this.create = create
    this.#options = options
    this.#advance = advance ?? ((ms) => sleep(ms + 5))
  }

  /** A request to create an operation that lives long enough for any case. */
  operation(init: Partial<NewOperation> = {}): NewOperation {
    const id = init.id ?? createId(Date.now())
    const request = this.event('Contract::Asked', { correlationId: id })
    return { id, command: request.type, request, ttlMs: 600_000, retentionMs: 600_000, ...init }
  }

  /** Creates an operation that must be new. */
  async created(init: Partial<NewOperation> = {}): Promise<Operation> {
    const created = await this.store.create(this.operation(init))
    assert.equal(created.created, true)
    return created.operation
  }

  /** An event with data that are not plain ASCII. */
  event(type: string, init: Partial<EventMessage> & { readonly data?: unknown } = {}): EventMessage {
    return toMessage({ type, source: 'contract', data: { text: 'grün ✓' }, ...init }, systemClock)
  }

  /** An ending by a result event. */
  result(init: Partial<EventMessage> = {}): Ending & { readonly result: EventMessage } {
    const type = init.type ?? 'Contract::Answered'
    return { state: 'succeeded', result: this.event(type, init), command: 'Contract::Asked' }
  }

  /** An ending without one. */
  ending(state: 'failed' | 'canceled' | 'expired', extra: { releaseKey?: boolean; ifVersion?: number } = {}): Ending {
    return { state, error: { code: 'ERR_OPERATION_CANCELED', message: 'it was ended' }, ...extra }
  }

  /** Ends an operation that must be there. */
  async complete(id: string, ending: Ending): Promise<Settled> {
    const settled = await this.store.complete(id, ending)
    assert.ok(settled)
    return settled
  }

  /** Reads an operation that must be there. */
  async get(id: string): Promise<Operation> {
    const operation = await this.store.get(id)
    assert.ok(operation)
    return operation
  }

  /** Lets the store's time pass. */
  advance(ms: number): Promise<unknown> {
    return this.#advance(ms)
  }

  until(condition: () => boolean): Promise<void> {
    return until(condition, this.#options.timeoutMs)
  }

  /** Gives what must not come the time to come. */
  async quiet(): Promise<void> {
    await sleep(this.#options.quietMs ?? 50)
  }

  async close(): Promise<void> {
    await this.store.close()
  }
}

/** Checks that an event came back from the store with everything that it had. */
export function assertSameEvent(got: EventMessage | undefined, sent: EventMessage): void {
  assert.ok(got, 'the event is missing')
  const plain = ({ body, headers, ...rest }: EventMessage): unknown => ({
    ...JSON.parse(JSON.stringify(rest)),
    headers: Object.entries(headers).sort(),
    body: Buffer.from(body).toString('base64'),
  })
  assert.deepEqual(plain(got), plain(sent))
}

/** Runs calls at the same time. */
export function atOnce<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)))
}

/** Cases by their names. */
export type StoreCases = Readonly<Record<string, Body<StoreKit>>>
