import { type Clock, systemClock } from '../core/clock.js'
import { configError, type NumberRule, refuseUnknown, resolveNumbers } from '../core/options.js'
import type { Store } from '../core/store.js'
import type { Transport } from '../core/transport.js'
import type { Projection } from './projection.js'
import { baseRow, type Row } from './row.js'
import { timedRecords } from './timed-records.js'

/** What was there before the first event. */
export interface Loaded<State> {
  readonly key: string
  readonly state: State
  /** The number of the last event that is in the state: it, and those before it, are not folded again. */
  readonly sequence?: number
  /** The same by time, in milliseconds since the epoch, where events have no numbers. */
  readonly time?: number
}

/** The row of what was loaded. */
export function loadedRow({ state, sequence, time }: Loaded<unknown>): Row {
  return baseRow(state, { ...(sequence && { sequence }), ...(time && { time }) })
}

/** What a read model is made of. Durations are in milliseconds. */
export interface ReadModelOptions<State> {
  /** Started and closed with the read model. */
  readonly transport: Transport
  readonly projection: Projection<State>
  /** Keeps snapshots, parked events, and a shared copy. Started and closed with the read model. */
  readonly store?: Pick<Store, 'records' | 'start' | 'close'>
  /** `own`: each instance has all states in memory; `shared`: all read one copy, in the store. @default 'own' */
  readonly copy?: 'own' | 'shared'
  /**
   * Names this instance, by a name that no other has and that stays over restarts. Its own copy then has snapshots of its
   * own, and it may be fed from RabbitMQ without a stream, where a queue of this name keeps what no snapshot has yet.
   */
  readonly instance?: string
  /** Gives what was there before the first event; called when there is no snapshot, or no shared copy, yet. */
  readonly load?: () => Iterable<Loaded<State>> | AsyncIterable<Loaded<State>>
  /** How old the newest snapshot may be before another one is taken. @default 60000 */
  readonly snapshotMs?: number
  /** How long snapshots, and parked events, are kept by a store that nobody renews them in. @default 2592000000 */
  readonly snapshotTtlMs?: number
  /** How long a call of the store may take. @default 1000 */
  readonly storeTimeoutMs?: number
  readonly clock?: Clock
}

const DAY_MS = 86_400_000

const NUMBERS = {
  snapshotMs: [60_000, 1, DAY_MS],
  snapshotTtlMs: [30 * DAY_MS, 1, 365 * DAY_MS],
  storeTimeoutMs: [1000, 1, 60_000],
} as const satisfies Record<string, NumberRule>

const OPTIONS = ['transport', 'projection', 'store', 'copy', 'instance', 'load', 'clock', ...Object.keys(NUMBERS)]

/** The options with their defaults. */
export type ReadModelSettings = ReturnType<typeof resolveSettings>

/**
 * Checks the options and fills in the defaults.
 * @throws GatewayError ERR_CONFIG that says what was given and what is allowed.
 */
export function resolveSettings(options: ReadModelOptions<unknown>) {
  refuseUnknown(options, OPTIONS, 'createReadModel')
  const { transport, projection, store, copy = 'own', instance, load, clock = systemClock } = options
  if (typeof transport?.subscribe !== 'function') throw configError('transport', transport, 'a transport')
  if (!Array.isArray(projection?.types)) throw configError('projection', projection, 'what defineProjection() returns')
  if (store !== undefined && typeof store?.records?.put !== 'function') throw configError('store', store, 'a store')
  if (copy !== 'own' && copy !== 'shared') throw configError('copy', copy, "'own' or 'shared'")
  if (copy === 'shared' && store === undefined) throw configError('store', store, 'a store, as copy is "shared"')
  if (instance !== undefined && !(typeof instance === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(instance)))
    throw configError('instance', instance, '1 to 64 letters, digits, ".", "_", "-"')
  if (load !== undefined && typeof load !== 'function') throw configError('load', load, 'a function')
  const numbers = resolveNumbers(NUMBERS, options as unknown as Readonly<Record<string, unknown>>)
  const records = store && timedRecords(store.records, { ms: numbers.storeTimeoutMs, clock })
  return { ...numbers, transport, projection, store, records, copy, instance, load, clock }
}
