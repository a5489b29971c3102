import { systemClock } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import {
  checkFunction,
  checkSchemas,
  configError,
  type NumberRule,
  refuseUnknown,
  resolveNumbers,
} from '../core/options.js'
import type { SchemaMap } from '../core/schema.js'
import type { WorkerOptions } from './types.js'

const DAY_MS = 86_400_000

const NUMBERS = {
  concurrency: [16, 1, 10_000],
  attempts: [5, 1, 1000],
  backoffMs: [100, 0, 30_000],
  timeoutMs: [undefined, 1, DAY_MS],
  ttlMs: [DAY_MS, 1, 365 * DAY_MS],
  drainMs: [10_000, 0, 600_000],
} as const satisfies Record<string, NumberRule>

const OPTIONS = 'transport source group concurrency retries timeoutMs dedupe drainMs clock events onError'.split(' ')

/** The options with their defaults. */
export type WorkerSettings = ReturnType<typeof resolveSettings>

/**
 * Checks the options and fills in the defaults.
 * @throws GatewayError ERR_CONFIG that says what was given and what is allowed.
 */
export function resolveSettings(options: WorkerOptions & { readonly events?: SchemaMap }) {
  refuseUnknown(options, OPTIONS, 'The worker')
  const { transport, group = 'workers', source = group, retries, dedupe, clock = systemClock, events = {} } = options
  checkSchemas(events)
  checkFunction('onError', options.onError)
  if (typeof transport?.subscribe !== 'function') throw configError('transport', transport, 'a transport')
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(group))
    throw configError('group', group, 'up to 64 of letters, digits, ".", "_", "-"')
  if (retries !== undefined) {
    if (typeof retries !== 'object') throw configError('retries', retries, '{ attempts, backoffMs }')
    refuseUnknown(retries, ['attempts', 'backoffMs'], 'retries')
  }
  if (dedupe && !dedupe.store?.records) throw configError('dedupe', dedupe, '{ store, ttlMs }')
  if (dedupe) refuseUnknown(dedupe, ['store', 'ttlMs'], 'dedupe')
  const numbers = resolveNumbers(NUMBERS, { ...options, ...retries, ttlMs: dedupe?.ttlMs })
  return { ...numbers, transport, group, source, store: dedupe?.store, clock, events }
}

/** What `handle` is given, and the schemas that the worker has. */
interface Given {
  readonly handler: unknown
  readonly options: { readonly failure?: unknown }
  readonly events: SchemaMap
}

/**
 * Checks what `handle` is given.
 * @throws GatewayError ERR_CONFIG
 */
export function checkHandling(type: string, { handler, options, events }: Given): void {
  if (typeof type !== 'string' || type === '')
    throw configError('the type to handle', type, 'the type of a request event')
  if (typeof handler !== 'function') throw configError(`handler of ${type}`, handler, 'a function')
  refuseUnknown(options, ['failure'], `handle('${type}')`)
  checkFunction(`failure of ${type}`, options.failure)
  const known = Object.keys(events)
  if (known.length === 0 || known.includes(type)) return
  const there = known.sort().join(', ')
  throw new GatewayError('ERR_CONFIG', `There is no schema for the event ${type}; there are: ${there}.`)
}
