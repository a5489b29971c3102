import type { CommandPlan } from './definition.js'
import type { Event } from './event.js'
import type { Because } from './lifecycle.js'
import type { Operation } from './operation.js'
import type { Operations } from './operations.js'
import type { CoreSettings } from './options.js'
import type { OnGone } from './pending-request.js'
import type { Durability } from './transport.js'

/** What a caller may say about one request. */
export interface RequestOptions {
  /** How long to wait for the result; 0 does not wait. @default the command's */
  readonly waitMs?: number | undefined
  /** Aborting ends the wait; a request that has not been published yet is taken back. */
  readonly signal?: AbortSignal | undefined
  /** The same without an AbortSignal, for callers that have a cheaper way to tell. */
  readonly onGone?: OnGone | undefined
  /** Requests of one principal with the same key are one operation. */
  readonly idempotencyKey?: string | undefined
  /** Whose operation it is. */
  readonly principal?: string | undefined
  /** Go into the event, for the worker. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  readonly tenant?: string | undefined
  /** When the request came, on the clock's monotonic scale. @default now */
  readonly startedAt?: number | undefined
  /** False when the caller cannot hand out an operation: overload then refuses. @default true, unless there is no store */
  readonly deferrable?: boolean | undefined
}

/**
 * What a request came to. `completed`: a result event, good or bad. `accepted`: it goes on, ask the operation later.
 * `ended`: it was canceled, expired or failed without an event; `operation.error` says why.
 */
export type Reply<Result extends Event = Event> =
  | { readonly kind: 'completed'; readonly event: Result; readonly operation: Operation; readonly replayed?: boolean }
  | { readonly kind: 'accepted'; readonly operation: Operation; readonly because: Because }
  | { readonly kind: 'ended'; readonly operation: Operation; readonly replayed?: boolean }

/** What a layer around the core sees of a gateway. */
export interface GatewayContext {
  readonly settings: CoreSettings
  /** Settings of the layer around the core. */
  readonly extension: unknown
  readonly operations: Operations
  /** True when operations are kept, so that a request can be answered before its result is there. */
  readonly keepsOperations: boolean
  /** True when operations are kept beyond the life of this gateway. */
  readonly outlivesGateway: boolean
  /** True from the call of `close` on. */
  readonly isClosing: boolean
  /** True while as many wait as may, in all or for one principal; who asks to wait then gets the operation as it is. */
  isFullFor(principal: string | undefined): boolean
  /** What transport and store together promise about the operations of a command. */
  durabilityOf(plan: CommandPlan): Durability
  /** Looks up a command by the type of its request event. */
  commandOf(name: string): CommandPlan | undefined
  /** Reports an error that has no caller to the listeners of `error`. */
  report(error: unknown): void
}

/** One command of a gateway: ask for it, with or without HTTP in front. */
export class Command<Data = unknown, Result extends Event = Event> {
  readonly plan: CommandPlan
  readonly gateway: GatewayContext
  readonly #request: (data: unknown, options: RequestOptions) => Promise<Reply>

  /** @internal Made by the gateway. */
  constructor(plan: CommandPlan, gateway: GatewayContext, request: Command['request']) {
    this.plan = plan
    this.gateway = gateway
    this.#request = request
  }

  /** The type of the request event. */
  get name(): string {
    return this.plan.name
  }

  /**
   * What transport and store together promise about its operations: less than for others where the answers of its
   * workers go to a queue that ends with the gateway.
   */
  get durability(): Durability {
    return this.gateway.durabilityOf(this.plan)
  }

  /**
   * Publishes the request event and waits for its result; an operation that goes on is a value, not an error.
   * @throws GatewayError when the request is refused: bad input, a limit, broker or store out of reach.
   */
  request(data: Data, options: RequestOptions = {}): Promise<Reply<Result>> {
    // No async function: its frame would be kept for as long as the request waits.
    try {
      return this.#request(data, options) as Promise<Reply<Result>>
    } catch (error) {
      return Promise.reject(error)
    }
  }
}
