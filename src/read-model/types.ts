import type { EventMessage } from '../core/event.js'

/** A state, and what is known about it. */
export interface ReadEntry<State> {
  readonly key: string
  readonly state: State
  /** When the last event that changed it happened, in milliseconds since the epoch; 0 when that is not known. */
  readonly time: number
  /** The number of that event, where events are numbered; else 0. */
  readonly sequence: number
}

/** How a read model stands, for readiness checks and alarms. */
export interface ReadModelStatus {
  readonly isReady: boolean
  /** False while the transport says that the broker is away: states are then as old as that. */
  readonly isConnected: boolean
  /** How many keys it has, those of deleted states too; undefined for a shared copy. */
  readonly size: number | undefined
  /** How many events could not be folded, up to 1,000: a number that grows is worth an alarm. */
  readonly parked: number
  /** How many keys wait for an event that comes before those that are there. */
  readonly waiting: number
  /** How much later than it happened the newest event was folded; undefined before the first one. */
  readonly lagMs: number | undefined
}

/** How to wait for an event. */
export interface WhenAtOptions {
  /** @default 1000 */
  readonly waitMs?: number
  readonly signal?: AbortSignal | undefined
}

/** What can be asked of a copy. */
export interface Copied<State> {
  readonly name: string
  readonly status: ReadModelStatus
  /** The state under a key, or undefined. It is the copy itself: do not change it. */
  get(key: string): Promise<ReadEntry<State> | undefined>
  /** Waits until an event, such as the `result` of an operation, is in the copy; false when time is up before. */
  whenAt(event: EventMessage, options?: WhenAtOptions): Promise<boolean>
}
