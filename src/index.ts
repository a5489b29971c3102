import type { Command } from './core/command.js'
import type { CommandDefinition, EventType, ResultOf } from './core/definition.js'
import { CoreGateway } from './core/gateway.js'
import { CORE_OPTIONS, type CoreOptions, type CoreSettings, refuseUnknown } from './core/options.js'
import type { InferEvents, SchemaMap } from './core/schema.js'
import { createHttpExtension, HTTP_OPTIONS, type HttpCommandOptions, type HttpOptions } from './http/settings.js'
import { memoryStore } from './stores/memory/index.js'

export type { Clock } from './core/clock.js'
export type { Command, GatewayContext, Reply, RequestOptions } from './core/command.js'
export type {
  CommandDefinition,
  EventType,
  Outcome,
  OutcomeTable,
  ResultOf,
  WorkerFailure,
} from './core/definition.js'
export { type ErrorCode, type ErrorDetails, GatewayError, type Issue, isGatewayError } from './core/errors.js'
export type { Envelope, Event, EventMessage } from './core/event.js'
export type { Because, Counters, LifecycleEvent, LifecycleEvents, ResultNote } from './core/lifecycle.js'
export {
  advance,
  begin,
  type Ending,
  isEnded,
  type NewOperation,
  type Operation,
  type OperationError,
  type OperationState,
  type Progress,
  type Settled,
  settle,
  type Verdict,
} from './core/operation.js'
export type { Operations, WaitOptions } from './core/operations.js'
export type { OnGone } from './core/pending-request.js'
export { cloudEvents, nest, type Profile, type ProfileName, type ReplyNote, spring } from './core/profile.js'
export type { InferEvents, SchemaMap, StandardSchema } from './core/schema.js'
export type {
  ChangeListener,
  Created,
  Lease,
  LeaseRequest,
  RecordSpace,
  RecordWrite,
  Store,
  StoredRecord,
} from './core/store.js'
export type {
  Channel,
  Delivery,
  Durability,
  Keeping,
  LogFacts,
  MessageHandler,
  PublishOptions,
  Reader,
  Reading,
  Settlement,
  Subscription,
  Transport,
  TransportListener,
} from './core/transport.js'
export { type AnswerOptions, created, noContent, ok, type ProblemInit, problem, seeOther } from './http/outcomes.js'
export { formatPrefer, type Preference, type PreferenceInput, type Preferences } from './http/prefer.js'
export type { Problem, Retry } from './http/problem.js'
export type {
  CommandRequest,
  HookRequest,
  HttpCommandOptions,
  HttpOptions,
  StatusStyle,
  Verb,
} from './http/settings.js'
export type { HeaderValues, HttpReply, HttpRequest } from './http/types.js'
export * from './memory.js'

/** All options of a gateway. */
export type GatewayOptions = CoreOptions & HttpOptions

/** A gateway whose commands know their events, and their HTTP side. */
export interface Gateway<Events> extends Omit<CoreGateway<Events>, 'command' | 'on' | 'off'> {
  /**
   * Declares a command: the request event it publishes, and what each of its result events means.
   * @throws GatewayError ERR_CONFIG when the definition is not valid, exists already, or comes after `start`.
   */
  command<Publish extends EventType<Events>, Types extends EventType<Events>>(
    definition: CommandDefinition<Events, Publish, Types> & HttpCommandOptions<Events[Publish]>,
  ): Command<Events[Publish], ResultOf<Events, Publish, Types>>
  on: CoreGateway['on']
  off: CoreGateway['off']
}

/**
 * Makes a gateway, which publishes request events and answers with their results. Declare its commands, then `start` it.
 * The events are typed by an event map, or by one Standard Schema per event type, which then also validates the data.
 * @throws GatewayError ERR_CONFIG when an option is not valid.
 * @example
 * const gateway = createGateway<Events>({ transport: memoryTransport() })
 * const createUser = gateway.command({ publish: 'CreateUser::Requested', outcomes: { UserCreated: created() } })
 * await gateway.start()
 */
export function createGateway<Events extends object = Record<string, unknown>>(
  options: GatewayOptions & { readonly events?: undefined },
): Gateway<Events>
/** The same with schemas, from which the types of the events are inferred, and by which their data are checked. */
export function createGateway<const Schemas extends SchemaMap>(
  options: GatewayOptions & { readonly events: Schemas },
): Gateway<InferEvents<Schemas>>
/** Both; the options are checked here. */
export function createGateway(
  options: GatewayOptions & { readonly events?: SchemaMap | undefined } = {} as never,
): unknown {
  refuseUnknown(options, [...CORE_OPTIONS, ...HTTP_OPTIONS], 'createGateway')
  const defaultStore = ({ maxOperations, clock }: CoreSettings) => memoryStore({ maxOperations, clock })
  return new CoreGateway({
    options,
    events: options.events === undefined ? {} : options.events,
    defaultStore,
    extension: createHttpExtension(options),
  })
}
