import { type Clock, systemClock } from './clock.js'
import { GatewayError } from './errors.js'
import type { SchemaMap } from './schema.js'
import type { Store } from './store.js'
import type { Transport } from './transport.js'

/** What a gateway is made of. Durations are in milliseconds. */
export interface CoreOptions {
  readonly transport: Transport
  /** Where operations live; `'none'` keeps none, and then nothing can be deferred. @default a memory store of its own */
  readonly store?: Store | 'none'
  /**
   * Who wakes those that wait here: a copy of all results that each gateway reads, or the store's `watch`, which spares
   * the reading where there are many gateways. Either way one of them records each result. @default 'transport'
   */
  readonly wake?: 'transport' | 'store'
  /** Names this service in events, and in the reader group that its instances share. @default 'gateway' */
  readonly service?: string
  /** How long a request waits for its result. @default 5000 */
  readonly waitMs?: number
  /** The longest wait that a client can ask for. @default 25000 */
  readonly maxWaitMs?: number
  /** How many may wait at the same time; further requests are deferred at once. @default 10000 */
  readonly maxPending?: number
  /** The same for one principal, polls and streams included. @default 1000 */
  readonly maxPendingPerPrincipal?: number
  /** How many operations may run at the same time; further requests are refused. @default 100000 */
  readonly maxOpen?: number
  /** The same for one principal. @default no limit */
  readonly maxPerPrincipal?: number
  /** How many operations the memory store keeps that the gateway makes itself. @default 100000 */
  readonly maxOperations?: number
  /** How long an operation may run before it expires. @default 3600000 */
  readonly operationTtlMs?: number
  /** How long an ended operation is kept, together with its idempotency key. @default 86400000 */
  readonly retentionMs?: number
  /** @default 1000 */
  readonly storeTimeoutMs?: number
  /** @default 1000 */
  readonly publishTimeoutMs?: number
  /** How long a request event may be without a confirmation before it is published again. @default 5000 */
  readonly relayAfterMs?: number
  /** How long `close` waits for what is under way. @default 10000 */
  readonly drainMs?: number
  readonly clock?: Clock
}

/** The options with their defaults. */
export type CoreSettings = Required<Omit<CoreOptions, 'maxPerPrincipal' | 'store' | 'transport'>> & {
  readonly maxPerPrincipal: number | undefined
  readonly events: SchemaMap
}

const DAY_MS = 86_400_000

/** The number options of the core: default, least and greatest value. */
const NUMBERS = {
  waitMs: [5000, 0, 300_000],
  maxWaitMs: [25_000, 0, 300_000],
  maxPending: [10_000, 0, 10_000_000],
  maxPendingPerPrincipal: [1000, 0, 10_000_000],
  maxOpen: [100_000, 1, 100_000_000],
  maxPerPrincipal: [undefined, 1, 100_000_000],
  maxOperations: [100_000, 1, 100_000_000],
  operationTtlMs: [3_600_000, 1, 365 * DAY_MS],
  retentionMs: [DAY_MS, 0, 365 * DAY_MS],
  storeTimeoutMs: [1000, 1, 60_000],
  publishTimeoutMs: [1000, 1, 60_000],
  relayAfterMs: [5000, 1, DAY_MS],
  drainMs: [10_000, 0, 600_000],
} as const satisfies Record<string, NumberRule>

/** Default, least and greatest value of a whole-number option. */
export type NumberRule = readonly [byDefault: number | undefined, least: number, greatest: number]

/** The names of all options of the core. */
export const CORE_OPTIONS: readonly string[] = [
  ...Object.keys(NUMBERS),
  'transport',
  'store',
  'service',
  'wake',
  'clock',
  'events',
]

/**
 * Checks the options and fills in the defaults.
 * @throws GatewayError ERR_CONFIG that says what was given and what is allowed.
 */
export function resolveOptions(options: CoreOptions, events: SchemaMap): CoreSettings {
  checkParts(options)
  checkSchemas(events)
  const numbers = resolveNumbers(NUMBERS, options as unknown as Readonly<Record<string, unknown>>)
  const { service = 'gateway', wake = 'transport', clock = systemClock } = options
  return { ...numbers, service, wake, clock, events } as CoreSettings
}

/**
 * Checks that each event type has a schema that can be asked.
 * @throws GatewayError ERR_CONFIG
 */
export function checkSchemas(events: SchemaMap): void {
  if (typeof events !== 'object' || events === null || Array.isArray(events))
    throw configError('events', events, 'one Standard Schema for each event type')
  for (const [type, schema] of Object.entries(events)) {
    const isSchema = typeof schema?.['~standard']?.validate === 'function'
    if (!isSchema)
      throw configError(`events: ${type}`, schema, 'a Standard Schema, such as one of zod, valibot or arktype')
  }
}

/** Checks whole-number options by a table of rules. */
export function resolveNumbers<Rules extends Record<string, NumberRule>>(
  rules: Rules,
  given: Readonly<Record<string, unknown>>,
): { [Name in keyof Rules]: Rules[Name][0] extends number ? number : number | undefined } {
  const resolved: Record<string, number | undefined> = {}
  for (const [name, [byDefault, least, greatest]] of Object.entries(rules)) {
    const value = given[name] ?? byDefault
    if (value !== undefined && !(Number.isInteger(value) && Number(value) >= least && Number(value) <= greatest)) {
      throw configError(name, value, `a whole number from ${least} to ${greatest}`)
    }
    resolved[name] = value as number | undefined
  }
  return resolved as never
}

/**
 * Checks how long a single call may wait; unlike options, fractions of a millisecond are fine.
 * @throws GatewayError ERR_CONFIG
 */
export function checkWait(waitMs: number): void {
  const [, least, greatest] = NUMBERS.waitMs
  if (!(waitMs >= least && waitMs <= greatest))
    throw configError('waitMs', waitMs, `a number from ${least} to ${greatest}`)
}

/** Refuses option names that do not exist, as a misspelt option would be ignored otherwise. */
export function refuseUnknown(given: object, allowed: readonly string[], what: string): void {
  if (typeof given !== 'object' || given === null) throw configError(`the options of ${what}`, given, 'an object')
  const unknown = Object.keys(given).find((name) => !allowed.includes(name))
  if (unknown === undefined) return
  const meant = allowed.find((name) => isSlip(unknown, name))
  const hint = meant === undefined ? '' : ` Is it to be ${meant}?`
  throw new GatewayError(
    'ERR_CONFIG',
    `${what} has no option "${unknown}"; there are: ${[...allowed].sort().join(', ')}.${hint}`,
  )
}

/** Whether two names differ by nothing but cases, and letters that one of them has left out. */
function isSlip(one: string, other: string): boolean {
  const [short, long] = [one.toLowerCase(), other.toLowerCase()].sort((a, b) => a.length - b.length) as [string, string]
  let at = 0
  for (const letter of long) if (letter === short[at]) at += 1
  return at === short.length && long.length - short.length <= 2
}

/** Refuses a clock that cannot be asked or set. */
export function checkClock(clock: unknown): void {
  if (clock !== undefined && !hasMethods(clock as object | null, CLOCK_METHODS))
    throw configError('clock', clock, 'a Clock')
}

/** True when all these can be called on it. */
export function hasMethods(part: object | null | undefined, names: readonly string[]): boolean {
  const methods = part as Readonly<Record<string, unknown>> | null | undefined
  return names.every((name) => typeof methods?.[name] === 'function')
}

/** Refuses what is given and cannot be called. */
export function checkFunction(name: string, value: unknown, allowed = 'a function'): void {
  if (value !== undefined && typeof value !== 'function') throw configError(name, value, allowed)
}

/** Refuses to listen to what is never announced, and a listener that cannot be called. */
export function checkListener(name: string, listener: unknown, names: readonly string[]): void {
  if (!names.includes(name)) throw configError('the event to listen to', name, `one of ${names.join(', ')}`)
  if (typeof listener !== 'function') throw configError(`the listener of ${name}`, listener, 'a function')
}

/** The error of an option with a wrong value. */
export function configError(name: string, got: unknown, allowed: string): GatewayError {
  return new GatewayError('ERR_CONFIG', `${name} is ${shown(got)}; allowed is ${allowed}.`)
}

/** How many members of an object an error names. */
const SHOWN = 6

function shown(got: unknown): string {
  if (typeof got === 'function') return `a function (is it to be called: ${got.name || 'it'}()?)`
  if (typeof got === 'object') return describe(got)
  return typeof got === 'string' ? `"${got}"` : String(got)
}

function describe(value: object | null): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  const names = Object.keys(value).filter((name) => !name.startsWith('_'))
  const more = names.length > SHOWN ? `, and ${names.length - SHOWN} more` : ''
  return `an object with ${names.slice(0, SHOWN).join(', ') || 'nothing in it'}${more}`
}

function checkParts({ transport, store, service, clock, wake }: CoreOptions): void {
  if (!hasMethods(transport, TRANSPORT_METHODS)) {
    throw configError('transport', transport, 'a transport, such as memoryTransport()')
  }
  if (store !== undefined && store !== 'none' && !hasMethods(store, STORE_METHODS)) {
    throw configError('store', store, "a store, such as memoryStore(), or 'none'")
  }
  if (wake !== undefined && wake !== 'transport' && wake !== 'store') {
    throw configError('wake', wake, "'transport' or 'store'")
  }
  if (wake === 'store' && !(typeof store === 'object' && typeof store.watch === 'function')) {
    throw configError('wake', wake, "'transport', as only a given store that has watch() can wake")
  }
  if (service !== undefined && !(typeof service === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(service))) {
    throw configError('service', service, '1 to 64 letters, digits, dots, hyphens and underscores')
  }
  checkClock(clock)
}

const TRANSPORT_METHODS = ['start', 'close', 'publish', 'subscribe', 'check']
const STORE_METHODS = [
  ...['start', 'close', 'create', 'find', 'complete', 'progress', 'get'],
  ...['leaseUnpublished', 'markPublished', 'sweep', 'check'],
]
const CLOCK_METHODS = ['now', 'monotonic', 'setTimer', 'setImmediate']
