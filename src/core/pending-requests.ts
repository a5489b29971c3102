import type { Deadline, Deadlines } from './deadlines.js'
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

/** What the broker said of the request event. */
export type Confirmation = 'confirmed' | 'unconfirmed'

const DUE: WaitEnd = { kind: 'due' }
const UNCONFIRMED: WaitEnd = { kind: 'unconfirmed' }
const SHUTDOWN: WaitEnd = { kind: 'shutdown' }

/** One who only looks on, for changes beyond a version or for the end. */
export interface Observer {
  readonly seenVersion?: number | undefined
}

/** One party that waits for an operation. It ends once, with whatever comes first. */
export class PendingRequest {
  readonly id: string
  readonly promise: Promise<WaitEnd>
  /** Changes up to this version do not wake; undefined waits for the end of the operation. */
  readonly seenVersion: number | undefined
  /** True for one that only looks on: a long poll or a stream, whose client can come back. */
  readonly isObserver: boolean
  /** The next one that waits for the same operation. */
  next: PendingRequest | undefined
  #resolve: ((end: WaitEnd) => void) | undefined
  #registry: PendingRequests
  #deadline: Deadline | undefined
  #unsubscribes: (() => void)[] | undefined
  #confirmed = true
  #due = false

  constructor(id: string, registry: PendingRequests, observer: Observer | undefined) {
    this.id = id
    this.seenVersion = observer?.seenVersion
    this.isObserver = observer !== undefined
    this.#registry = registry
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** False once the wait has ended. */
  get isOpen(): boolean {
    return this.#resolve !== undefined
  }

  /** False while it waits for `confirm`. */
  get isConfirmed(): boolean {
    return this.#confirmed
  }

  /** No "time is up" before `confirm` is called: a 202 is a promise that only the broker can back. */
  awaitConfirmation(): void {
    this.#confirmed = false
  }

  /** Time is up after `ms`, counted by the shared wheel; at once for 0. */
  limit(ms: number): void {
    if (!this.isOpen) return
    if (ms <= 0) this.#timeIsUp()
    else this.#deadline = this.#registry.deadlines.add(ms, () => this.#timeIsUp())
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
    const resolve = this.#resolve
    if (resolve === undefined) return
    this.#resolve = undefined
    if (this.#deadline !== undefined) this.#registry.deadlines.cancel(this.#deadline)
    this.#deadline = undefined
    for (const unsubscribe of this.#unsubscribes ?? []) unsubscribe()
    this.#unsubscribes = undefined
    this.#registry.remove(this)
    resolve(end)
  }

  #timeIsUp(): void {
    this.#due = true
    if (this.#confirmed) this.end(DUE)
  }
}

/**
 * Who waits for which operation in this process: one map entry per operation, and a chain where several wait for one.
 * A result is dispatched by one look-up, however many wait.
 */
export class PendingRequests {
  readonly deadlines: Deadlines
  readonly #first = new Map<string, PendingRequest>()
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
    pending.next = this.#first.get(id)
    this.#first.set(id, pending)
    this.#size += 1
    if (this.#shutdown === 'all' || (this.#shutdown && pending.isObserver)) pending.end(SHUTDOWN)
    return pending
  }

  has(id: string): boolean {
    return this.#first.has(id)
  }

  /** Whether somebody here still waits for what the broker says of the operation's request event. */
  awaitsConfirmation(id: string): boolean {
    let pending = this.#first.get(id)
    while (pending?.isConfirmed) pending = pending.next
    return pending !== undefined
  }

  /** The ids of all operations that somebody waits for. */
  ids(): readonly string[] {
    return [...this.#first.keys()]
  }

  /** Tells everybody who waits for the operation how it stands. */
  wake(operation: Operation): void {
    let pending = this.#first.get(operation.id)
    while (pending !== undefined) {
      const { next } = pending
      pending.wake(operation)
      pending = next
    }
  }

  /** Passes on what the broker said of an operation's request event. */
  confirm(id: string, confirmation: Confirmation): void {
    let pending = this.#first.get(id)
    while (pending !== undefined) {
      const { next } = pending
      pending.confirm(confirmation)
      pending = next
    }
  }

  /** Ends every wait, or those of observers, now and from now on, as the process is about to stop. */
  shutdown(who: 'observers' | 'all' = 'all'): void {
    this.#shutdown = who
    for (const first of [...this.#first.values()]) {
      for (let pending: PendingRequest | undefined = first; pending !== undefined; ) {
        const { next }: PendingRequest = pending
        if (who === 'all' || pending.isObserver) pending.end(SHUTDOWN)
        pending = next
      }
    }
  }

  /** Resolves when nobody waits. */
  async whenEmpty(): Promise<void> {
    if (this.#size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
  }

  /** Called by a pending request that has ended. */
  remove(pending: PendingRequest): void {
    const first = this.#first.get(pending.id)
    if (first === pending) {
      if (pending.next === undefined) this.#first.delete(pending.id)
      else this.#first.set(pending.id, pending.next)
    } else {
      let before = first
      while (before !== undefined && before.next !== pending) before = before.next
      if (before !== undefined) before.next = pending.next
    }
    this.#size -= 1
    if (this.#size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve()
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
