import { GatewayError } from '../core/errors.js'
import type { Counts } from './journal.js'
import type { Row } from './row.js'

/** Where the rows are, and how events get into them. */
export interface Copy {
  /** True while it has everything that was there when it started, and reads on. */
  readonly isReady: boolean
  /** How often those who wait have to look by themselves, as other instances write too. */
  readonly pollMs: number | undefined
  /** How many rows it has, where it knows. */
  readonly size: number | undefined
  /** What the instance tells that reads the events; undefined where this one does. */
  readonly told: Counts | undefined
  /** Resolves when it has caught up. */
  start(): Promise<void>
  close(): Promise<void>
  get(key: string): Promise<Row | undefined>
}

/** Why no start is possible: what the broker still has is not everything. */
export function notRebuildable(name: string, cause: unknown): GatewayError {
  const why = cause instanceof Error ? ` ${cause.message}` : ''
  const text = `The read model ${name} cannot be rebuilt: there is no snapshot that the log reaches back to, and no load()`
  const hint = 'To begin anew with what the log has, give the projection another version.'
  return new GatewayError('ERR_NOT_REBUILDABLE', `${text}.${why} ${hint}`, { cause })
}

/** Why a start comes to nothing after a close. */
export function closed(): GatewayError {
  return new GatewayError('ERR_CLOSED', 'The read model is closed.')
}

/** How long to wait before something is tried again. */
export const AGAIN_MS = 1000

/** Reported when a reader has ended by itself. */
export function readerEnded(cause: unknown): GatewayError {
  return new GatewayError('ERR_NOT_CAUGHT_UP', 'The reader of the events has ended.', { cause })
}

/** A promise that is settled from outside. */
export function createGate(): {
  readonly passed: Promise<void>
  open(): void
  fail(error: unknown): void
} {
  let open = (): void => {}
  let fail = (_error: unknown): void => {}
  const passed = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  // Whoever waits hears of it; that nobody does is no error.
  passed.catch(() => {})
  return { passed, open, fail }
}
