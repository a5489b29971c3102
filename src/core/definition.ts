import { GatewayError } from './errors.js'
import type { Event } from './event.js'
import type { Operation } from './operation.js'
import { configError, type NumberRule, refuseUnknown, resolveNumbers } from './options.js'
import type { Profile, ReplyNote } from './profile.js'
import { checkProfile } from './profile-rules.js'

/** The names in an event map. */
export type EventType<Events> = keyof Events & string

/** The types of events that may say which operation was canceled: their data can be `{ id }`. */
export type CancelType<Events> = {
  [Type in EventType<Events>]: { readonly id: string } extends Events[Type] ? Type : never
}[EventType<Events>]

/** What a result event means: how it ends the operation, and what an outer layer makes of it. */
export interface Outcome<in E extends Event = never> {
  readonly state: 'succeeded' | 'failed'
  /** Opaque to the core: called by the layer that answers, with the result event. Must be a pure function of it. */
  readonly answer?: ((event: E, operation: Operation) => unknown) | undefined
}

/** The result events of a command, each with its meaning. */
export type OutcomeTable<Events, Types extends EventType<Events>> = {
  readonly [Type in Types]: Outcome<Event<Type, Events[Type]>> | 'succeeded' | 'failed'
}

/** A request event and the result events that it awaits. */
export interface CommandDefinition<Events, Publish extends EventType<Events>, Types extends EventType<Events>> {
  /** The type of the request event, of at most 240 bytes; it also names the command. */
  readonly publish: Publish
  readonly outcomes: OutcomeTable<Events, Types>
  /** Types of progress events, beside `<request type>::Progress`, which every command knows. */
  readonly progress?: readonly EventType<Events>[]
  /** Published when an operation is canceled, so that workers can stop; its data are `{ id }`, that of the operation. */
  readonly cancel?: CancelType<Events>
  /** Requests with the same key are published in the order of their acceptance. */
  readonly key?: (data: Events[Publish]) => string | undefined
  /**
   * The id of what the operation creates, so that a read of it can say that it is being created. The request event is
   * there only when the operation is new: derive the id of it, or give the operation's own.
   */
  readonly creates?: (operation: Operation) => string | undefined
  /** Overrides the gateway's `waitMs`. */
  readonly waitMs?: number
  /** How many operations of this command may run at the same time. */
  readonly maxOpen?: number
  /** What a repeated request gets while the first is running: its answer too, or a refusal. @default 'join' */
  readonly onConcurrent?: 'join' | 'conflict'
  /** How the request event is written, for workers that exist already: `spring()`, `nest()`, `cloudEvents()`. @default native */
  readonly profile?: Profile
  /**
   * Which declared type an answer stands for that names none of them; undefined for what its profile makes of it.
   * Its data are what the worker has sent, unchecked. Must be a pure function of the event.
   */
  readonly resultType?: (event: Event, reply?: ReplyNote) => Types | `${Publish}::Failed` | undefined
  /** Of a worker that answers with several values: the first is the result, or each is progress and their list is. @default 'one' */
  readonly replies?: 'one' | 'many'
}

/** What a worker reports that could not carry out a request and declared no event for it. */
export interface WorkerFailure {
  readonly reason: string
  readonly message?: string
  /** What a worker of another kind has answered instead. */
  readonly details?: unknown
}

/** The events that end a command, as a union that `event.type` narrows. */
export type ResultOf<Events, Publish extends string, Types extends EventType<Events>> =
  | { [Type in Types]: Event<Type, Events[Type]> }[Types]
  | Event<`${Publish}::Failed`, WorkerFailure>

/** A definition of whichever events, as the core keeps it; outer layers add fields of their own. */
export type AnyDefinition = CommandDefinition<Record<string, unknown>, string, string>

const FAILED: Outcome<Event> = { state: 'failed' }

/** A checked definition: what the core asks of it while requests run. */
export class CommandPlan {
  readonly name: string
  readonly definition: AnyDefinition
  readonly waitMs: number | undefined
  readonly maxOpen: number | undefined
  readonly progressTypes: ReadonlySet<string>
  readonly #outcomes: ReadonlyMap<string, Outcome<Event>>

  constructor(definition: AnyDefinition, extraOptions: readonly string[]) {
    checkDefinition(definition, extraOptions)
    const numbers = resolveNumbers(NUMBERS, definition as unknown as Readonly<Record<string, unknown>>)
    const outcomes = Object.entries(definition.outcomes).map(
      ([type, outcome]) => [type, toOutcome(type, outcome)] as const,
    )
    this.name = definition.publish
    this.definition = definition
    this.waitMs = numbers.waitMs
    this.maxOpen = numbers.maxOpen
    this.progressTypes = new Set([`${this.name}::Progress`, ...(definition.progress ?? [])])
    this.#outcomes = new Map([[`${this.name}::Failed`, FAILED], ...outcomes])
  }

  /** The types of events that end an operation of this command. */
  get resultTypes(): readonly string[] {
    return [...this.#outcomes.keys()]
  }

  /** The types of events that it publishes. */
  get requestTypes(): readonly string[] {
    const { cancel } = this.definition
    return cancel === undefined ? [this.name] : [this.name, cancel]
  }

  outcomeOf(type: string): Outcome<Event> | undefined {
    return this.#outcomes.get(type)
  }
}

const NUMBERS = { waitMs: [undefined, 0, 300_000], maxOpen: [undefined, 1, 100_000_000] } as const satisfies Record<
  string,
  NumberRule
>

const OPTIONS = [
  ...['publish', 'outcomes', 'progress', 'cancel', 'key', 'waitMs', 'maxOpen', 'onConcurrent'],
  ...['profile', 'resultType', 'replies', 'creates'],
]

function checkDefinition(definition: AnyDefinition, extraOptions: readonly string[]): void {
  if (!isType(definition?.publish)) {
    throw configError('publish', definition?.publish, `the type of the request event, at most ${TYPE_BYTES} bytes`)
  }
  const { publish, outcomes, progress, cancel, onConcurrent } = definition
  refuseUnknown(definition, [...OPTIONS, ...extraOptions], `The command ${publish}`)
  if (typeof outcomes !== 'object' || outcomes === null || Object.keys(outcomes).length === 0) {
    throw configError(`outcomes of ${publish}`, outcomes, 'a table with at least one result event')
  }
  for (const type of Object.keys(outcomes)) {
    if (!isType(type)) throw configError(`outcomes of ${publish}`, type, `types of events, at most ${TYPE_BYTES} bytes`)
  }
  if (Object.hasOwn(outcomes, publish)) {
    throw new GatewayError('ERR_CONFIG', `${publish} is the request event of its command and cannot be its result too.`)
  }
  if (progress !== undefined && !(Array.isArray(progress) && progress.every(isType))) {
    throw configError(`progress of ${publish}`, progress, 'a list of event types')
  }
  const both = [`${publish}::Progress`, ...(progress ?? [])].find((type) => Object.hasOwn(outcomes, type))
  if (both !== undefined)
    throw new GatewayError('ERR_CONFIG', `${both} is a progress event and cannot be a result too.`)
  if (cancel !== undefined && !isType(cancel)) throw configError(`cancel of ${publish}`, cancel, 'an event type')
  checkFunctions(definition)
  if (onConcurrent !== undefined && onConcurrent !== 'join' && onConcurrent !== 'conflict') {
    throw configError(`onConcurrent of ${publish}`, onConcurrent, "'join' or 'conflict'")
  }
  checkForeign(definition)
}

/** What only matters for workers that exist already. */
function checkForeign({ publish, profile, resultType, replies }: AnyDefinition): void {
  if (profile !== undefined) checkProfile(profile, publish)
  if (resultType !== undefined && typeof resultType !== 'function')
    throw configError(`resultType of ${publish}`, resultType, 'a function of the event')
  if (replies !== undefined && replies !== 'one' && replies !== 'many')
    throw configError(`replies of ${publish}`, replies, "'one' or 'many'")
}

function checkFunctions({ publish, key, creates }: AnyDefinition): void {
  if (key !== undefined && typeof key !== 'function')
    throw configError(`key of ${publish}`, key, 'a function of the data')
  if (creates !== undefined && typeof creates !== 'function')
    throw configError(`creates of ${publish}`, creates, 'a function of the operation')
}

/** Bytes; brokers take 255 for an address that is made of a type, and `::Progress` may stand behind it. */
const TYPE_BYTES = 240

function isType(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= TYPE_BYTES
}

function toOutcome(type: string, outcome: unknown): Outcome<Event> {
  const made = typeof outcome === 'string' ? { state: outcome } : outcome
  const { state, answer } = (made ?? {}) as Partial<Outcome>
  const isCallable = answer === undefined || typeof answer === 'function'
  if ((state === 'succeeded' || state === 'failed') && isCallable) return made as Outcome<Event>
  throw configError(`outcome of ${type}`, outcome, "'succeeded', 'failed' or an outcome such as created() or problem()")
}
