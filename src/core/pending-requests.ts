import type { Deadlines } from './deadlines.js'
import type { GatewayError } from './errors.js'
import type { Event } from './event.js'
import type { Operation } from './operation.js'
import {
  type Confirmation,
  type PendingRegistry,
  PendingRequest,
  type WaitEnd,
  type Waiter,
} from './pending-request.js'
import { Running, type RunningOperation } from './running.js'

const SHUTDOWN: WaitEnd = { kind: 'shutdown' }
const NOBODY: readonly PendingRequest[] = []

/** How many may wait at the same time. */
export interface PendingLimits {
  readonly maxPending: number
  readonly maxPendingPerPrincipal: number
}

const ANYBODY: Waiter = {}

/**
 * Who waits for which operation in this process: one entry per operation, and a set where several wait for one.
 * A result is dispatched by one look-up, however many wait.
 */
export class PendingRequests implements PendingRegistry {
  readonly deadlines: Deadlines
  readonly #limits: PendingLimits
  readonly #running: Running
  readonly #perPrincipal = new Map<string, number>()
  #size = 0
  #shutdown: 'observers' | 'all' | undefined
  #whenEmpty: (() => void)[] = []

  constructor(deadlines: Deadlines, limits: PendingLimits, running = new Running()) {
    this.deadlines = deadlines
    this.#limits = limits
    this.#running = running
  }

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** True while as many wait as may, in all or for this principal. */
  isFullFor(principal: string | undefined): boolean {
    const { maxPending, maxPendingPerPrincipal } = this.#limits
    if (this.#size >= maxPending) return true
    return principal !== undefined && (this.#perPrincipal.get(principal) ?? 0) >= maxPendingPerPrincipal
  }

  /** Registers one more that waits; the caller must see to it that it ends. */
  add(id: string, waiter: Waiter = ANYBODY): PendingRequest {
    const pending = new PendingRequest(id, this, waiter)
    this.#count(waiter.principal, 1)
    const entry = this.#running.enter(id)
    const others = entry.waiting
    if (others instanceof Set) others.add(pending)
    else entry.waiting = others === undefined ? pending : new Set([others, pending])
    this.#size += 1
    if (this.#shutdown === 'all' || (this.#shutdown && pending.isObserver)) pending.end(SHUTDOWN)
    return pending
  }

  has(id: string): boolean {
    return this.#running.get(id)?.waiting !== undefined
  }

  /** Whether somebody here still waits for what the broker says of the operation's request event. */
  awaitsConfirmation(id: string): boolean {
    return this.#of(id).some(({ isConfirmed }) => !isConfirmed)
  }

  /** The ids of all operations that somebody waits for. */
  ids(): readonly string[] {
    const ids: string[] = []
    for (const [id, { waiting }] of this.#running.entries()) if (waiting !== undefined) ids.push(id)
    return ids
  }

  /** Tells everybody who waits for the operation how it stands; several get no view in which one could change data. */
  wake(operation: Operation, event?: Event): void {
    const all = this.#running.get(operation.id)?.waiting
    if (all instanceof Set) for (const pending of [...all]) pending.wake(operation)
    else all?.wake(operation, event)
  }

  /** Passes on what the broker said of an operation's request event. */
  confirm(id: string, confirmation: Confirmation): void {
    const all = this.#running.get(id)?.waiting
    if (all instanceof Set) for (const pending of [...all]) pending.confirm(confirmation)
    else all?.confirm(confirmation)
  }

  /** The request was not published, and may have ended for it: neither a promise nor a refusal of it would be true. */
  doubt(id: string, error: GatewayError): void {
    for (const pending of this.#of(id)) {
      if (pending.isObserver) pending.confirm('unconfirmed')
      else pending.end({ kind: 'doubtful', error })
    }
  }

  /** Ends every wait, or those of observers, now and from now on, as the process is about to stop. */
  shutdown(who: 'observers' | 'all' = 'all'): void {
    this.#shutdown = who
    for (const id of this.ids()) {
      for (const pending of this.#of(id)) if (who === 'all' || pending.isObserver) pending.end(SHUTDOWN)
    }
  }

  /** Ends the wait of everybody who has asked, as if time were up: what they wait for cannot come in time any more. */
  giveUp(): void {
    for (const id of this.ids()) for (const pending of this.#of(id)) if (!pending.isObserver) pending.onDue()
  }

  /** Resolves when nobody waits. */
  async whenEmpty(): Promise<void> {
    if (this.#size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
  }

  /** Called by a pending request that has ended. */
  remove(pending: PendingRequest): void {
    this.deadlines.cancel(pending)
    const entry = this.#running.get(pending.id)
    if (entry !== undefined) this.#leave(entry, pending)
    this.#size -= 1
    this.#count(pending.principal, -1)
    if (this.#size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  #leave(entry: RunningOperation, pending: PendingRequest): void {
    if (entry.waiting instanceof Set && (!entry.waiting.delete(pending) || entry.waiting.size > 0)) return
    entry.waiting = undefined
    this.#running.leave(pending.id, entry)
  }

  #count(principal: string | undefined, change: number): void {
    if (principal === undefined) return
    const count = (this.#perPrincipal.get(principal) ?? 0) + change
    if (count > 0) this.#perPrincipal.set(principal, count)
    else this.#perPrincipal.delete(principal)
  }

  /** A copy, as those that are told may leave. */
  #of(id: string): readonly PendingRequest[] {
    const all = this.#running.get(id)?.waiting
    if (all === undefined) return NOBODY
    return all instanceof Set ? [...all] : [all]
  }
}
