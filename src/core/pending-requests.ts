import { Deadline, type Deadlines } from './deadlines.js'
import { isEnded, type Operation } from './operation.js'

/**
 * Subscribes to the departure of whoever waits, and calls back at once if they have left already.
 * The returned function ends the subscription.
 */
export type OnGone = (listener: (reason?: unknown) => void) => () => void

/**
 * How a wait ends: with the operation as the store decided it; because time is up; because it is unknown whether the
 * request was published; because the one who waits has left; or because the gateway shuts down.
 */
export type WaitEnd =
  | { readonly kind: 'changed'; readonly operation: Operation }
  | { readonly kind: 'due' | 'unconfirmed' | 'shutdown' }
  | { readonly kind: 'gone'; readonly reason: unknown }

/** Hears of the end of a wait. An object, as a closure keeps more memory alive. */
export interface EndListener {
  onEnd(end: WaitEnd): void
}

/** What the broker said of the request event. */
export type Confirmation = 'confirmed' | 'unconfirmed'

const DUE: WaitEnd = { kind: 'due' }
const UNCONFIRMED: WaitEnd = { kind: 'unconfirmed' }
const SHUTDOWN: WaitEnd = { kind: 'shutdown' }
const NOBODY: readonly PendingRequest[] = []

/** One who only looks on, for changes beyond a version or for the end. */
export interface Observer {
  readonly seenVersion?: number | undefined
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
  readonly #registry: PendingRequests
  #end: WaitEnd | undefined
  #listener: EndListener | undefined
  #unsubscribes: (() => void)[] | undefined
  #confirmed = true
  #due = false

  constructor(id: string, registry: PendingRequests, observer: Observer | undefined) {
    super()
    this.id = id
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
  leaveOn(who: { readonly signal?: AbortSignal | undefined; readonly onGone?: OnGone | undefined }): void {
    const sources = [who.signal && onAbort(who.signal), who.onGone].filter((source) => source !== undefined)
    for (const onGone of sources) {
      if (!this.isOpen) return
      const unsubscribe = onGone((reason) => this.end({ kind: 'gone', reason }))
      if (this.isOpen) this.#unsubscribes = [...(this.#unsubscribes ?? []), unsubscribe]
      else unsubscribe()
    }
  }

  confirm(confirmation: Confirmation): void {
    this.#confirmed = true
    if (confirmation === 'unconfirmed') this.end(UNCONFIRMED)
    else if (this.#due) this.end(DUE)
  }

  wake(operation: Operation): void {
    const changed = this.seenVersion !== undefined && operation.version > this.seenVersion
    if (changed || isEnded(operation)) this.end({ kind: 'changed', operation })
  }

  end(end: WaitEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#registry.remove(this)
    for (const unsubscribe of this.#unsubscribes ?? []) unsubscribe()
    this.#unsubscribes = undefined
    this.#listener?.onEnd(end)
    this.#listener = undefined
  }

  override onDue(): void {
    this.#due = true
    if (this.#confirmed) this.end(DUE)
  }
}

/**
 * Who waits for which operation in this process: one map entry per operation, and a set where several wait for one.
 * A result is dispatched by one look-up, however many wait.
 */
export class PendingRequests {
  readonly deadlines: Deadlines
  readonly #waiting = new Map<string, PendingRequest | Set<PendingRequest>>()
  #size = 0
  #shutdown: 'observers' | 'all' | undefined
  #whenEmpty: (() => void)[] = []

  constructor(deadlines: Deadlines) {
    this.deadlines = deadlines
  }

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** Registers one more that waits; the caller must see to it that it ends. */
  add(id: string, observer?: Observer): PendingRequest {
    const pending = new PendingRequest(id, this, observer)
    const others = this.#waiting.get(id)
    if (others === undefined) this.#waiting.set(id, pending)
    else if (others instanceof Set) others.add(pending)
    else this.#waiting.set(id, new Set([others, pending]))
    this.#size += 1
    if (this.#shutdown === 'all' || (this.#shutdown && pending.isObserver)) pending.end(SHUTDOWN)
    return pending
  }

  has(id: string): boolean {
    return this.#waiting.has(id)
  }

  /** Whether somebody here still waits for what the broker says of the operation's request event. */
  awaitsConfirmation(id: string): boolean {
    return this.#of(id).some(({ isConfirmed }) => !isConfirmed)
  }

  /** The ids of all operations that somebody waits for. */
  ids(): readonly string[] {
    return [...this.#waiting.keys()]
  }

  /** Tells everybody who waits for the operation how it stands. */
  wake(operation: Operation): void {
    const all = this.#waiting.get(operation.id)
    if (all instanceof Set) for (const pending of [...all]) pending.wake(operation)
    else all?.wake(operation)
  }

  /** Passes on what the broker said of an operation's request event. */
  confirm(id: string, confirmation: Confirmation): void {
    const all = this.#waiting.get(id)
    if (all instanceof Set) for (const pending of [...all]) pending.confirm(confirmation)
    else all?.confirm(confirmation)
  }

  /** Ends every wait, or those of observers, now and from now on, as the process is about to stop. */
  shutdown(who: 'observers' | 'all' = 'all'): void {
    this.#shutdown = who
    for (const id of this.ids()) {
      for (const pending of this.#of(id)) if (who === 'all' || pending.isObserver) pending.end(SHUTDOWN)
    }
  }

  /** Resolves when nobody waits. */
  async whenEmpty(): Promise<void> {
    if (this.#size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
  }

  /** Called by a pending request that has ended. */
  remove(pending: PendingRequest): void {
    this.deadlines.cancel(pending)
    const all = this.#waiting.get(pending.id)
    if (!(all instanceof Set) || (all.delete(pending) && all.size === 0)) this.#waiting.delete(pending.id)
    this.#size -= 1
    if (this.#size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  /** A copy, as those that are told may leave. */
  #of(id: string): readonly PendingRequest[] {
    const all = this.#waiting.get(id)
    if (all === undefined) return NOBODY
    return all instanceof Set ? [...all] : [all]
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
