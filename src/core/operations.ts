import { findCreations } from './creations.js'
import { toMessage } from './event.js'
import { lookAgain } from './last-look.js'
import { isEnded, type Operation, type Settled } from './operation.js'
import { checkWait } from './options.js'
import type { GatewayParts } from './parts.js'
import type { OnGone } from './pending-request.js'

/** How to wait for an operation. */
export interface WaitOptions {
  /** @default the gateway's `waitMs` */
  readonly waitMs?: number | undefined
  /** Return at the first change beyond this version; without it, at the end of the operation. */
  readonly seenVersion?: number | undefined
  /** Who waits: so many may at the same time. */
  readonly principal?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** The same without an AbortSignal. */
  readonly onGone?: OnGone | undefined
}

/** Reads, awaits and cancels operations, whichever instance started them. */
export class Operations {
  readonly #parts: GatewayParts

  /** @internal Made by the gateway. */
  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  /** The operation as it stands, or undefined when there is none, or no longer. */
  get(id: string): Promise<Operation | undefined> {
    return this.#parts.store.get(id)
  }

  /**
   * The operations that create what has this id, as the commands say with `creates`, in the order of their start; ended
   * ones are given too. Of very many that do so at the same time those are given that were the first.
   */
  creating(id: string): Promise<readonly Operation[]> {
    return findCreations(this.#parts, id)
  }

  /** Waits for the end, or a change, and gives the operation as it stands then, or when time is up or the caller left. */
  async wait(id: string, options: WaitOptions = {}): Promise<Operation | undefined> {
    const { pending, store, settings } = this.#parts
    const { seenVersion, waitMs = settings.waitMs, principal } = options
    checkWait(waitMs)
    const until = settings.clock.monotonic() + waitMs
    const waiting = pending.add(id, { principal, observer: { seenVersion } })
    try {
      // Registered first, then read: an end in between is seen by one of the two.
      const operation = await store.get(id)
      if (operation === undefined || isEnded(operation)) return operation
      if (seenVersion !== undefined && operation.version > seenVersion) return operation
      waiting.leaveOn(options)
      waiting.limit(until - settings.clock.monotonic())
      const end = await waiting.ended()
      return end.kind === 'changed' ? end.operation : await lookAgain(this.#parts, id, operation)
    } finally {
      waiting.end({ kind: 'shutdown' })
    }
  }

  /**
   * Marks a running operation as canceled, and tells the workers where the command has an event for that. What is done
   * is not undone: a worker may finish all the same, and its result is then kept as late.
   * The verdict is `won`, `ended`, or `stale` when the operation has another version; undefined for unknown ids.
   */
  async cancel(id: string, condition: { readonly ifVersion?: number } = {}): Promise<Settled | undefined> {
    const before = await this.#parts.store.get(id)
    if (before === undefined) return undefined
    const error = { code: 'ERR_OPERATION_CANCELED', message: 'The operation was canceled.' } as const
    const settled = await this.#parts.settle(id, { state: 'canceled', error, ...condition })
    if (settled?.verdict === 'won') await this.#announce(before)
    return settled
  }

  async #announce(operation: Operation): Promise<void> {
    const { commands, settings, transport, transportBreaker, lifecycle } = this.#parts
    const type = commands.get(operation.command)?.definition.cancel
    if (type === undefined) return
    const { id, key } = operation
    const { tenant, traceparent, tracestate } = operation.request ?? {}
    const origin = { correlationId: id, causationId: id, key, tenant, traceparent, tracestate }
    const message = toMessage({ type, source: settings.service, data: { id }, ...origin }, settings.clock)
    try {
      await transportBreaker.run(() => transport.publish(message, { channel: 'requests' }))
    } catch (error) {
      // The cancellation stands; that the workers do not hear of it is worth a report, not a failure.
      lifecycle.error(error)
    }
  }
}
