import { type Channel, channel } from 'node:diagnostics_channel'
import { EventEmitter } from 'eventemitter3'
import { type ErrorCode, type GatewayError, toGatewayError } from './errors.js'
import type { Operation } from './operation.js'
import type { Durability } from './transport.js'

/** Why a request was answered before its result. */
export type Because = 'preference' | 'timeout' | 'unconfirmed' | 'overload' | 'shutdown'

/** A result event that ended nothing: which operation it names, and its type. */
export interface ResultNote {
  readonly id: string | undefined
  readonly type: string
}

/** What could not be checked, by the part that wanted to. */
export interface SkippedChecks {
  readonly transport: readonly string[]
  readonly store: readonly string[]
}

/** What a gateway tells about its work; each is also published on the diagnostics channel `respond-async:<name>`. */
export interface LifecycleEvents {
  /** `skippedChecks` names what transport and store wanted to check, and were not allowed to ask. */
  started: { readonly durability: Durability; readonly skippedChecks: SkippedChecks }
  draining: { readonly pending: number }
  stopped: Record<never, never>
  created: { readonly operation: Operation }
  /** A repeated request was tied to the operation of the first. */
  joined: { readonly operation: Operation }
  /** A client got a 202, or its counterpart without HTTP. */
  deferred: { readonly operation: Operation; readonly because: Because }
  /** The operation ended, in whichever state, and this gateway decided it. */
  completed: { readonly operation: Operation }
  progress: { readonly operation: Operation }
  /** The one who waited has left. */
  gone: { readonly id: string }
  late: ResultNote
  duplicate: ResultNote
  conflict: ResultNote
  orphan: ResultNote
  /** A type that the operation's command does not declare. */
  unexpected: ResultNote
  malformed: ResultNote
  /** A message of somebody else on a shared topic. */
  foreign: ResultNote
  /** Nobody in this process waits for this result, or no longer; the shared reader takes care of it. */
  skipped: ResultNote
  shed: { readonly code: ErrorCode; readonly command: string; readonly principal: string | undefined }
  unavailable: { readonly part: 'store' | 'transport'; readonly cause: unknown }
  available: { readonly part: 'store' | 'transport' }
  error: GatewayError
}

/** Names of the lifecycle events. */
export type LifecycleEvent = keyof LifecycleEvents

/** How often each lifecycle event has happened. */
export type Counters = Readonly<Record<LifecycleEvent, number>>

type Listeners = { [Name in LifecycleEvent]: (payload: LifecycleEvents[Name]) => void }

/** The names of all lifecycle events. */
export const LIFECYCLE_EVENTS: readonly LifecycleEvent[] = [
  ...(['started', 'draining', 'stopped', 'created', 'joined', 'deferred', 'completed', 'progress', 'gone'] as const),
  ...(['late', 'duplicate', 'conflict', 'orphan', 'unexpected', 'malformed', 'foreign', 'skipped'] as const),
  ...(['shed', 'unavailable', 'available', 'error'] as const),
]

/** Counts and announces. Listeners that throw are reported as warnings of the process and disturb nothing. */
export class Lifecycle {
  readonly emitter = new EventEmitter<Listeners>()
  readonly #counts = Object.fromEntries(LIFECYCLE_EVENTS.map((name) => [name, 0])) as Record<LifecycleEvent, number>
  readonly #channels = Object.fromEntries(
    LIFECYCLE_EVENTS.map((name) => [name, channel(`respond-async:${name}`)]),
  ) as unknown as Record<LifecycleEvent, Channel>
  readonly #warned = new Set<ErrorCode>()

  /** A copy of the counters. */
  counters(): Counters {
    return { ...this.#counts }
  }

  note<Name extends LifecycleEvent>(name: Name, payload: LifecycleEvents[Name]): void {
    this.#counts[name] += 1
    const diagnostics = this.#channels[name]
    if (diagnostics.hasSubscribers) diagnostics.publish(payload)
    if (this.emitter.listenerCount(name) > 0) this.#emit(name, payload)
    else if (name === 'error') this.#warn(payload as GatewayError)
  }

  /** Reports an error that has no caller to be thrown to. */
  error(error: unknown): void {
    this.note('error', toGatewayError(error))
  }

  #emit<Name extends LifecycleEvent>(name: Name, payload: LifecycleEvents[Name]): void {
    try {
      const emit = this.emitter.emit.bind(this.emitter) as (name: LifecycleEvent, payload: unknown) => boolean
      emit(name, payload)
    } catch (error) {
      process.emitWarning(`A listener of "${name}" has thrown: ${String(error)}`, 'RespondAsyncWarning')
    }
  }

  #warn(error: GatewayError): void {
    if (this.#warned.has(error.code)) return
    this.#warned.add(error.code)
    const cause = error.cause === undefined ? '' : ` Cause: ${String(error.cause)}.`
    const text = `${error.message}${cause} Listen to "error" of the gateway to hear of all of them.`
    process.emitWarning(text, { type: 'RespondAsyncWarning', code: error.code })
  }
}
