import { Deadline, type Deadlines } from './deadlines.js'
import type { GatewayError } from './errors.js'
import type { Event } from './event.js'
import { isEnded, type Operation } from './operation.js'

/**
 * Subscribes to the departure of whoever waits, and calls back at once if they have left already.
 * The returned function ends the subscription.
 */
export type OnGone = (listener: (reason?: unknown) => void) => () => void

/**
 * How a wait ends: with the operation as the store decided it, and perhaps a view of its result; because time is up;
 * because it is unknown whether the request was published; because the one who waits has left; because the gateway shuts
 * down; or because it was refused, and the store may know that or not.
 */
export type WaitEnd =
  | { readonly kind: 'changed'; readonly operation: Operation; readonly event?: Event | undefined }
  | { readonly kind: 'due' | 'unconfirmed' | 'shutdown' }
  | { readonly kind: 'gone'; readonly reason: unknown }
  | { readonly kind: 'doubtful'; readonly error: GatewayError }

/** Hears of the end of a wait. An object, as a closure keeps more memory alive. */
export interface EndListener {
  onEnd(end: WaitEnd): void
}

/** What the broker said of the request event. */
export type Confirmation = 'confirmed' | 'unconfirmed'

const DUE: WaitEnd = { kind: 'due' }
const UNCONFIRMED: WaitEnd = { kind: 'unconfirmed' }

/** Who waits: for whom, and whether they only look on, for changes beyond a version or for the end. */
export interface Waiter {
  readonly principal?: string | undefined
  readonly observer?: { readonly seenVersion?: number | undefined } | undefined
}

/** Where a pending request is registered. */
export interface PendingRegistry {
  readonly deadlines: Deadlines
  /** Called by a pending request that has ended. */
  remove(pending: PendingRequest): void
}

/**
 * One party that waits for an operation. It ends once, with whatever comes first. It is its own deadline and makes no
 * promise unless it is asked for one: a gateway keeps one of these for each request that waits.
 */
export class PendingRequest extends Deadline {
  readonly id: string
  /** Changes up to this version do not wake; undefined waits for the end of the operation. */
  readonly seenVersion: number | undefined
  /** True for one that only looks on: a long poll or a stream, whose client can come back. */
  readonly isObserver: boolean
  readonly principal: string | undefined
  readonly #registry: PendingRegistry
  #end: WaitEnd | undefined
  #listener: EndListener | undefined
  #unsubscribes: (() => void)[] | undefined
  #confirmed = true
  #due = false

  constructor(id: string, registry: PendingRegistry, { principal, observer }: Waiter) {
    super()
    this.id = id
    this.principal = principal
    this.seenVersion = observer?.seenVersion
    this.isObserver = observer !== undefined
    this.#registry = registry
  }

  /** False once the wait has ended. */
  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** False while it waits for `confirm`. */
  get isConfirmed(): boolean {
    return this.#confirmed
  }

  /** No "time is up" before `confirm` is called: a 202 is a promise that only the broker can back. */
  awaitConfirmation(): void {
    this.#confirmed = false
  }

  /** Tells the one listener when the wait ends, at once if it has ended already. */
  whenEnded(listener: EndListener): void {
    if (this.#end === undefined) this.#listener = listener
    else listener.onEnd(this.#end)
  }

  /** The end as a promise, which takes the place of the listener. */
  ended(): Promise<WaitEnd> {
    return new Promise((onEnd) => this.whenEnded({ onEnd }))
  }

  /** Time is up after `ms`, counted by the shared wheel; at once for 0. */
  limit(ms: number): void {
    if (!this.isOpen) return
    if (ms <= 0) this.onDue()
    else this.#registry.deadlines.arm(this, ms)
  }

  /** Ends the wait when whoever waits goes away, at once if that has happened already. */
  leaveOn({
    signal,
    onGone,
  }: {
    readonly signal?: AbortSignal | undefined
    readonly onGone?: OnGone | undefined
  }): void {
    if (signal !== undefined) this.#leaveOn(onAbort(signal))
    if (onGone !== undefined) this.#leaveOn(onGone)
  }

  #leaveOn(onGone: OnGone): void {
    if (!this.isOpen) return
    const unsubscribe = this.#subscribe(onGone)
    if (!this.isOpen) callSafely(unsubscribe)
    else if (this.#unsubscribes === undefined) this.#unsubscribes = [unsubscribe]
    else this.#unsubscribes.push(unsubscribe)
  }

  /** Whoever cannot say when they leave is taken to have left, for that reason. */
  #subscribe(onGone: OnGone): () => void {
    try {
      return onGone((reason) => this.end({ kind: 'gone', reason }))
    } catch (reason) {
      this.end({ kind: 'gone', reason })
      return () => {}
    }
  }

  confirm(confirmation: Confirmation): void {
    this.#confirmed = true
    if (confirmation === 'unconfirmed') this.end(UNCONFIRMED)
    else if (this.#due) this.end(DUE)
  }

  wake(operation: Operation, event?: Event): void {
    const changed = this.seenVersion !== undefined && operation.version > this.seenVersion
    if (changed || isEnded(operation)) this.end({ kind: 'changed', operation, event })
  }

  end(end: WaitEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#registry.remove(this)
    this.#listener?.onEnd(end)
    this.#listener = undefined
    for (const unsubscribe of this.#unsubscribes ?? []) callSafely(unsubscribe)
    this.#unsubscribes = undefined
  }

  override onDue(): void {
    this.#due = true
    if (this.#confirmed) this.end(DUE)
  }
}

/** A hook of the caller's that throws, or is none, must not take along those whose time is up as well. */
function callSafely(unsubscribe: () => void): void {
  try {
    unsubscribe()
  } catch (error) {
    process.emitWarning(`The end of an onGone subscription has thrown: ${String(error)}`, 'RespondAsyncWarning')
  }
}

function onAbort(signal: AbortSignal): OnGone {
  return (listener) => {
    const abort = () => listener(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    return () => signal.removeEventListener('abort', abort)
  }
}
