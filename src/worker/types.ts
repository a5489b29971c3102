import type { Clock } from '../core/clock.js'
import type { EventType } from '../core/definition.js'
import type { GatewayError } from '../core/errors.js'
import type { Envelope, EventMessage } from '../core/event.js'
import type { Store } from '../core/store.js'
import type { Transport } from '../core/transport.js'

/** A result event as handlers return it: with data, or with a body that is encoded already and published unchecked. */
export type ResultEvent<Events, Type extends EventType<Events> = EventType<Events>> = Type extends unknown
  ? {
      readonly type: Type
      readonly headers?: Readonly<Record<string, string>>
      /** @default the key of the request event */
      readonly key?: string
    } & (
      | { readonly data: Events[Type]; readonly body?: undefined; readonly contentType?: undefined }
      | { readonly body: Uint8Array; readonly contentType: string; readonly data?: undefined }
    )
  : never

/** One result event, several that are published in their order, or none. */
export type HandlerResult<Events> = ResultEvent<Events> | readonly ResultEvent<Events>[] | undefined

/** What a handler gets. */
export interface HandlerRequest<Events, Type extends EventType<Events>>
  extends Pick<Envelope, 'id' | 'correlationId' | 'key' | 'headers'> {
  readonly data: Events[Type]
  /** Aborts when the attempt has taken `timeoutMs`, or when the worker closes and can wait no longer. */
  readonly signal: AbortSignal
  /** 1 for the first attempt; more when this or another worker may have worked on the request before. */
  readonly attempt: number
  /** Publishes `<request type>::Progress` at once; it never throws, and the result never waits for it. */
  progress(data: `${Type}::Progress` extends keyof Events ? Events[`${Type}::Progress`] : unknown): void
}

/**
 * Carries out a request. What it throws is tried again, so a negative result is returned, not thrown. Its results are
 * published when it resolves: whatever clients may look up then must be committed before.
 */
export type Handler<Events, Type extends EventType<Events>> = (
  request: HandlerRequest<Events, Type>,
  // biome-ignore lint/suspicious/noConfusingVoidType: async functions that return nothing have this type
) => HandlerResult<Events> | Promise<HandlerResult<Events> | void>

/** What may be said about a handler. */
export interface HandleOptions<Events, Type extends EventType<Events>> {
  /**
   * Makes the event that answers when no attempt has succeeded; `data` is undefined when the request's are not valid.
   * Clients see it: it must not quote the error.
   * @default `<request type>::Failed` with a reason and a general message
   */
  readonly failure?: (
    error: unknown,
    request: Envelope & { readonly data: Events[Type] | undefined },
  ) => ResultEvent<Events>
}

/** How a worker works. Durations are in milliseconds. */
export interface WorkerOptions {
  /** Started and closed with the worker. */
  readonly transport: Transport
  /** The `source` of its events. @default the group */
  readonly source?: string
  /** The workers of one group share the requests. @default 'workers' */
  readonly group?: string
  /** How many requests are worked on at the same time. @default 16 */
  readonly concurrency?: number
  /**
   * A failed attempt (of 5) is repeated after a random part of `backoffMs` (100), doubled each time up to 30 s. One that
   * fails as a store or broker of this package is away does not count.
   */
  readonly retries?: { readonly attempts?: number; readonly backoffMs?: number }
  /** How long one attempt may take. @default no limit */
  readonly timeoutMs?: number
  /**
   * Keeps the results of a request for `ttlMs` (24 h): delivered again, it is answered by the very same events, and the
   * handler does not run. It still runs twice for two deliveries at once, or after a crash before its results were
   * kept. The store is started and closed with the worker.
   */
  readonly dedupe?: { readonly store: Pick<Store, 'records' | 'start' | 'close'>; readonly ttlMs?: number }
  /** How long `close` waits for running handlers. @default 10000 */
  readonly drainMs?: number
  readonly clock?: Clock
  /** The first listener of `error`. */
  readonly onError?: (error: GatewayError) => void
}

/** A request and the events that answer it; `replayed` when they are those of another delivery. */
export interface Answered {
  readonly request: EventMessage
  readonly results: readonly EventMessage[]
  readonly replayed: boolean
}

/** What a worker tells about its work. */
export interface WorkerEvents {
  handled: Answered
  /** An attempt has failed and is repeated after `delayMs`. */
  retry: { readonly request: EventMessage; readonly attempt: number; readonly delayMs: number; readonly error: unknown }
  /**
   * The request could not be carried out, or the broker will never take its results: its failure event answers it, or
   * none where that is refused too, and the broker puts it aside.
   */
  parked: Answered
  /** The request was not finished, or not answered, before the close; the broker delivers it again. */
  requeued: { readonly request: EventMessage; readonly error: unknown }
  error: GatewayError
}

/** Carries out request events and answers each at least once with its result events. */
export interface Worker<Events> {
  /**
   * Sets the handler of a request event: one for each type, before the start.
   * @throws GatewayError ERR_CONFIG
   */
  handle<Type extends EventType<Events>>(
    type: Type,
    handler: Handler<Events, Type>,
    options?: HandleOptions<Events, Type>,
  ): this
  /**
   * Listens to what the worker does.
   * @throws GatewayError ERR_CONFIG for an event that does not exist, or a listener that is no function.
   */
  on<Name extends keyof WorkerEvents>(name: Name, listener: (payload: WorkerEvents[Name]) => void): this
  /** Resolves once requests are being read. */
  start(): Promise<void>
  /** Takes no more requests, waits for the running handlers and their results, then gives back what is not finished. */
  close(options?: { readonly drainMs?: number }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
