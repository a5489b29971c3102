import type { EventType } from '../core/definition.js'
import { GatewayError } from '../core/errors.js'
import { type Event, type EventMessage, toEvent } from '../core/event.js'
import { isWellFormed } from '../core/ids.js'
import { configError, refuseUnknown } from '../core/options.js'
import { type InferEvents, type SchemaMap, validateData } from '../core/schema.js'

/** Any event of a map, as a union that `event.type` narrows. */
export type EventOf<Events> = { [Type in EventType<Events>]: Event<Type, Events[Type]> }[EventType<Events>]

/** How events become state. All functions are pure: the same events give the same state, here, later and elsewhere. */
export interface ProjectionDefinition<Events, State> {
  /** Names its snapshots, records and queues. */
  readonly name: string
  /** Raise it with every change of what the folds make of events: what an older one has made is then not used. */
  readonly version: number
  /** One fold for each type that changes the state. The state is JSON; undefined deletes it. */
  readonly on: {
    readonly [Type in EventType<Events>]?: (
      state: State | undefined,
      event: Event<Type, Events[Type]>,
    ) => State | undefined
  }
  /** Whose state an event changes; an event without a key changes none. @default the event's own `key` */
  readonly key?: (event: EventOf<Events>) => string | undefined
  /** The number of an event among those of its key, from 1 on, as their writer counts them. @default the log's order */
  readonly sequence?: (event: EventOf<Events>) => number
  /** What comes before its predecessor waits for it; 'skip' where logs keep only the newest event. @default 'wait' */
  readonly gaps?: 'wait' | 'skip'
  /** One Standard Schema per event type: what breaks it is parked. */
  readonly events?: SchemaMap
}

/** A checked definition. */
export interface Projection<State = unknown> {
  readonly name: string
  readonly version: number
  readonly types: readonly string[]
  readonly definition: AnyProjection
  /** Only says what the states are. */
  readonly state?: State
}

/** A definition of whichever events. */
export type AnyProjection = ProjectionDefinition<Record<string, unknown>, unknown>

/** What a projection reads in an event. */
export interface KeyedEvent {
  readonly event: Event
  readonly key: string | undefined
  readonly sequence: number | undefined
  /** Why it cannot be folded, although it is known whose it is. */
  readonly error?: unknown
}

const OPTIONS = ['name', 'version', 'on', 'key', 'sequence', 'gaps', 'events']
const FUNCTIONS = ['key', 'sequence'] as const

/**
 * Says how events become state. With `events` their types are those of the schemas.
 * @throws GatewayError ERR_CONFIG
 * @example
 * const users = defineProjection<Events, User>({
 *   name: 'users',
 *   version: 1,
 *   key: ({ data }) => data.id,
 *   on: { UserCreated: (_, { data }) => data, UserRenamed: (user, { data }) => user && { ...user, name: data.name } },
 * })
 */
export function defineProjection<const Schemas extends SchemaMap, State>(
  definition: ProjectionDefinition<InferEvents<Schemas>, State> & { readonly events: Schemas },
): Projection<State>
/** The same with a map of types, or with whatever events come. */
export function defineProjection<Events extends object = Record<string, unknown>, State = unknown>(
  definition: ProjectionDefinition<Events, State>,
): Projection<State>
/** Both; the definition is checked here. */
export function defineProjection<State>(definition: ProjectionDefinition<object, State>): Projection<State> {
  const { name, version, on, gaps, events } = definition
  refuseUnknown(definition, OPTIONS, 'A projection')
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) throw configError('name', name, '1 to 64 letters, digits, ".", "_", "-"')
  if (!Number.isSafeInteger(version) || version < 1) throw configError('version', version, 'a whole number from 1 on')
  if (typeof on !== 'object' || on === null || Object.keys(on).length === 0)
    throw configError('on', on, 'a table with at least one fold')
  for (const [type, fold] of Object.entries(on)) {
    if (typeof fold !== 'function') throw configError(`on ${type}`, fold, 'a function of state and event')
    if (events !== undefined && !Object.hasOwn(events, type))
      throw new GatewayError('ERR_CONFIG', `There is no schema for ${type}, which is folded; ${listOf(events)}.`)
  }
  for (const option of FUNCTIONS)
    if (definition[option] !== undefined && typeof definition[option] !== 'function')
      throw configError(option, definition[option], 'a function of the event')
  if (gaps !== undefined && gaps !== 'wait' && gaps !== 'skip') throw configError('gaps', gaps, "'wait' or 'skip'")
  return { name, version, types: Object.keys(on), definition: definition as unknown as AnyProjection }
}

function listOf(events: SchemaMap): string {
  return `there are: ${Object.keys(events).sort().join(', ')}`
}

/**
 * Reads what a projection wants of an event.
 * @throws Error when not even its key can be read.
 */
export async function readEvent({ definition }: Projection, message: EventMessage): Promise<KeyedEvent> {
  const event = toEvent(message)
  let data: unknown
  try {
    data = await validateData(definition.events?.[message.type], event.data)
  } catch (error) {
    // Whose it is may be told by its envelope, or by data that break another rule.
    return { ...tryReading(definition, event, error), error }
  }
  // What a schema has made of the data hides what came.
  return toReading(definition, Object.defineProperty(event, 'data', { value: data, enumerable: true }))
}

function tryReading(definition: AnyProjection, event: Event, error: unknown): KeyedEvent {
  try {
    return toReading(definition, event)
  } catch {
    throw error
  }
}

function toReading({ key, sequence }: AnyProjection, event: Event): KeyedEvent {
  const own = key === undefined ? event.key : key(event)
  if (own !== undefined && (typeof own !== 'string' || own.length > 512 || !isWellFormed(own)))
    throw new GatewayError(
      'ERR_INVALID_INPUT',
      'The key of an event is a text of at most 512 characters that has a UTF-8 form.',
    )
  const number = sequence?.(event)
  if (number !== undefined && !(Number.isSafeInteger(number) && number >= 1))
    throw new GatewayError('ERR_INVALID_INPUT', 'The sequence of an event is a whole number from 1 on.')
  return { event, key: own, sequence: number }
}
