import { GatewayError } from '../core/errors.js'
import { type Cursor, isFieldText, isToken, readList, readParameters, readToken, readValue } from './scan.js'

/** One preference of a request: its value, empty when it has none, and its parameters by lower-case name. */
export interface Preference {
  readonly value: string
  readonly params: ReadonlyMap<string, string>
}

/** The wishes of a request that the gateway knows, and under `all` every one that it carried. */
export interface Preferences {
  readonly respondAsync: boolean
  /** As asked for, not clamped: at most 2^31. */
  readonly waitSeconds?: number
  readonly return?: 'minimal' | 'representation'
  readonly handling?: 'strict' | 'lenient'
  readonly all: ReadonlyMap<string, Preference>
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

// More members than any client sends; the rest of a hostile header is not looked at.
const MAX_MEMBERS = 64

// RFC 9111 section 1.2.2: what overflows counts as 2^31 seconds.
const MAX_SECONDS = 2 ** 31

// `all` is made anew for each caller: a Map cannot be frozen, and this object is shared by every request.
const NONE: Preferences = Object.freeze({
  respondAsync: false,
  get all() {
    return new Map<string, Preference>()
  },
})

function readPreference(cursor: Cursor): readonly [string, Preference] | undefined {
  const name = readToken(cursor).toLowerCase()
  const value = name === '' ? undefined : readValue(cursor)
  const params = value === undefined ? undefined : readParameters(cursor)
  return value === undefined || params === undefined ? undefined : [name, { value, params }]
}

/**
 * Parses the `Prefer` lines of a request (RFC 7240 section 2) into preferences by lower-case name.
 * It never throws: malformed members are dropped, and of a preference given twice the first counts.
 */
export function parsePrefer(header: string | readonly string[] | undefined): ReadonlyMap<string, Preference> {
  const preferences = new Map<string, Preference>()
  if (header === undefined) return preferences
  const text = typeof header === 'string' ? header : header.join(',')
  for (const [name, preference] of readList(text, readPreference, MAX_MEMBERS)) {
    if (!preferences.has(name)) preferences.set(name, preference)
  }
  return preferences
}

function oneOf<T extends string>(value: string | undefined, ...known: readonly T[]): T | undefined {
  return known.find((candidate) => candidate === value)
}

function toSeconds(value: string | undefined): number | undefined {
  return value !== undefined && /^\d+$/.test(value) ? Math.min(Number(value), MAX_SECONDS) : undefined
}

/** Reads what a request prefers; a known preference with a value that has no meaning is as good as absent. */
export function readPreferences(header: string | readonly string[] | undefined): Preferences {
  if (header === undefined) return NONE
  const all = parsePrefer(header)
  const preferences: Mutable<Preferences> = { respondAsync: all.get('respond-async')?.value === '', all }
  const waitSeconds = toSeconds(all.get('wait')?.value)
  if (waitSeconds !== undefined) preferences.waitSeconds = waitSeconds
  const wanted = oneOf(all.get('return')?.value, 'minimal', 'representation')
  if (wanted !== undefined) preferences.return = wanted
  const handling = oneOf(all.get('handling')?.value, 'strict', 'lenient')
  if (handling !== undefined) preferences.handling = handling
  return preferences
}

/** What a client can ask for under one name: a value, `true` for none, `false` for nothing at all, or one with parameters. */
export type PreferenceInput = string | number | boolean | Preference

// An empty value equals none (RFC 7240 section 2), so it is left out together with its sign.
function formatPair(name: string, value: string): string {
  if (!isToken(name) || !isFieldText(value)) {
    throw new GatewayError('ERR_INVALID_INPUT', `A preference cannot be written into a header: ${JSON.stringify(name)}`)
  }
  if (value === '') return name
  return isToken(value) ? `${name}=${value}` : `${name}="${value.replace(/["\\]/g, '\\$&')}"`
}

function formatPreference(name: string, input: PreferenceInput): string {
  if (typeof input !== 'object') return formatPair(name, input === true ? '' : String(input))
  const params = Array.from(input.params, ([key, value]) => formatPair(key, value))
  return [formatPair(name, input.value), ...params].join('; ')
}

/**
 * Writes a `Prefer` header for a request, from plain values or from what `parsePrefer` returned.
 * Throws `ERR_INVALID_INPUT` for a name or value that no header can carry.
 * @example formatPrefer({ 'respond-async': true, wait: 10 }) // 'respond-async, wait=10'
 */
export function formatPrefer(
  preferences: ReadonlyMap<string, PreferenceInput> | Readonly<Record<string, PreferenceInput>>,
): string {
  const record = preferences as Readonly<Record<string, PreferenceInput>>
  const entries: [string, PreferenceInput][] = preferences instanceof Map ? [...preferences] : Object.entries(record)
  return entries
    .filter(([, input]) => input !== false)
    .map(([name, input]) => formatPreference(name, input))
    .join(', ')
}

/**
 * Writes `Preference-Applied` (RFC 7240 section 3: no parameters) from the preferences that were honoured, each with
 * the value that was used; undefined when there are none, as the header is then not sent.
 */
export function formatPreferenceApplied(
  applied: readonly (readonly [name: string, value?: string | number])[],
): string | undefined {
  return applied.map(([name, value = '']) => formatPair(name, String(value))).join(', ') || undefined
}
