import type { EventMessage } from './event.js'

/** What a part can promise about data it has accepted. */
export interface Durability {
  /** `process`: lost when the process ends; `durable`: survives it. */
  readonly class: 'process' | 'durable'
  /** How much acknowledged data a crash of the machine may cost, in milliseconds; 0 when none. */
  readonly mayLoseMs?: number
}

/** Request events travel from gateways to workers, result and progress events back. */
export type Channel = 'requests' | 'results'

/**
 * The three kinds of reading. `own`: a copy of everything from now on, for this reader alone, redelivered never.
 * `shared`: the group shares one durable copy, each event is delivered until one member has settled it.
 * `replay`: everything from the beginning, behind a position, or from now on, in order, and then on as it comes.
 * A replay that would have gaps is refused with ERR_CONFIG, and so is one behind a position of another log, which may be one
 * of the same name. Its `name`, which no other reader has and which stays the same
 * over restarts, is for transports that keep events for each reader instead of a log.
 */
export type Reading =
  | { readonly kind: 'own' }
  | { readonly kind: 'shared'; readonly group: string; readonly concurrency?: number }
  | { readonly kind: 'replay'; readonly from: ReplayStart; readonly name?: string }

/** Where a replay starts; `after` is the position of a delivery of an earlier replay. */
export type ReplayStart = 'beginning' | 'now' | { readonly after: string }

/** What a reader wants. */
export interface Subscription {
  readonly channel: Channel
  /** On the results channel, which commands share, other types may come too: readers skip what they do not know. */
  readonly types: readonly string[]
  readonly reading: Reading
}

/** What a handler says of a message: it is done, it must come again, or it can never be handled. */
export type Settlement = 'ack' | 'requeue' | 'park'

/** What the transport knows about one delivery of a message. */
export interface Delivery {
  /** 1 for the first delivery to the group. */
  readonly attempt: number
  /** Where the message stands in the channel, for a later replay; only with the reading `replay`. */
  readonly position?: string | undefined
  /**
   * True when it was sent to an address of this very reader: no shared reader will get it, and messages with the same
   * correlation id come in the order in which they were sent. Only with the reading `own`.
   */
  readonly isDirect?: boolean | undefined
  /** True when other readers of this process get it as well: what one does not know may be for another. */
  readonly isForSeveral?: boolean | undefined
}

/** Gets each message; a rejection means `requeue`, no value means `ack`. Only shared readings are settled. */
export type MessageHandler = (message: EventMessage, delivery: Delivery) => Promise<Settlement | undefined>

/** How a replay of a transport goes on that keeps events for each reader, instead of a log. */
export interface Keeping {
  /** The position behind which it began: a later replay may begin there until another position is released. */
  readonly from: string
  /** How many events are brought, at most, before some of them are released. */
  readonly limit: number
  /** What is up to this position is stored: a later replay begins behind this position, or behind one that came after it. */
  release(position: string): void
}

/** What the log of a replay drops by its own rules, as far as the broker says it. */
export interface LogFacts {
  /** Of several events with one `key` only the last is kept for good. */
  readonly isCompacted: boolean
  /** The settings by which old events are dropped; undefined when none are. */
  readonly dropsOld?: string | undefined
}

/** An open subscription. */
export interface Reader {
  /**
   * Resolves when everything that was there at the time of the subscription has been handled. Rejects with ERR_CONFIG where
   * a replay can only be refused after it has begun to read; its reader has then ended.
   */
  readonly caughtUp: Promise<void>
  /**
   * Resolves, to the reason, when the reader has ended by itself and will get nothing more; never when it was closed, and
   * absent where it always goes on. A replay ends where it would get a gap: what it was to read next is gone.
   */
  readonly ended?: Promise<unknown>
  /** Only of a replay whose events are kept for it until it releases them. */
  readonly keeping?: Keeping
  /** Only of a replay: what its log drops; absent where it drops nothing without saying so at the next replay. */
  readonly log?: LogFacts
  /** Takes no more messages, and resolves when the running handlers have settled theirs. */
  close(): Promise<void>
}

/** Where a message goes. */
export interface PublishOptions {
  readonly channel: Channel
  /** For results: the `replyTo` of the request event. */
  readonly replyTo?: string | undefined
}

/** Which readers of results a gateway opens. */
export interface ResultReadings {
  readonly own: boolean
  readonly shared: boolean
}

/** Where answers go of workers that only know the address in their request, or the options that would give one. */
export type ReplyAddress = { readonly durability: Durability } | { readonly missing: string }

/** What a transport tells its user outside of calls. */
export interface TransportListener {
  /** The connection is gone; the transport is already trying to get it back. */
  down(error: unknown): void
  up(): void
  /** Answers on their way to this process are lost for good: whoever waits for one need not wait any longer. */
  repliesLost?(): void
  /** Something went wrong that no call can report, such as a message that could be neither handled nor put aside. */
  error?(error: unknown): void
}

/** The seam to a message broker. */
export interface Transport {
  readonly name: string
  readonly durability: Durability
  /**
   * The largest body that the broker takes, in bytes, of whatever type; requests with a larger one are refused before
   * anything is written.
   */
  readonly maxBodyBytes?: number | undefined
  /** Where more is taken of some types than of others: the largest body of a request of this type. */
  maxBodyBytesOf?(type: string): number
  /** Where more is written for some requests than their body, as their profile adds to it: the size of what is written. */
  writtenBytesOf?(request: EventMessage): number
  /**
   * What of a request, beside its body, is more than the broker takes, such as its key and headers: a sentence, or
   * undefined when all of it fits. Such a request is refused before anything is written; a `tracestate` is left out first.
   */
  excessOf?(request: EventMessage): string | undefined
  /**
   * Asks the broker for what `maxBodyBytesOf` does not know yet of a type, and rejects when that cannot be asked;
   * undefined where there is nothing to ask. Requests of the type wait for it.
   */
  learnMaxBodyBytesOf?(type: string): Promise<void> | undefined
  /**
   * Looks, once it has started, whether there is a way for all types of request events that will be published.
   * @throws GatewayError ERR_CONFIG that names a type for which its options give none.
   */
  checkRequestTypes?(types: readonly string[]): void
  /** What it wanted to check since its start, and the broker does not let this user ask. */
  readonly skippedChecks?: readonly string[] | undefined
  /** True: a group that reads results gets those types only that its members have asked for. */
  readonly isSelective?: boolean | undefined
  /**
   * What becomes of answers that workers send to the address in their request, by what reads results here; absent where
   * they are like all others. `missing` is a sentence that names the options without which there is no address.
   */
  replyAddress?(readings: ResultReadings): ReplyAddress
  /** Each user of the transport starts it once; the first call connects. */
  start(listener?: TransportListener): Promise<void>
  /** Called once by each user that started it: the last call ends what this transport opened, more do nothing. */
  close(): Promise<void>
  /**
   * Resolves once the broker has taken responsibility for the message.
   * Rejects with ERR_PUBLISH_REJECTED or ERR_TRANSPORT_UNAVAILABLE when it certainly has not; after any other
   * rejection the message may be on its way. A worker publishes its results again until they are taken, but for those
   * refused with `isPermanent` in the details, or with a code that is not retryable.
   */
  publish(message: EventMessage, options: PublishOptions): Promise<void>
  /** Resolves once the reader is positioned: what is published afterwards will reach it. */
  subscribe(subscription: Subscription, onMessage: MessageHandler): Promise<Reader>
  /**
   * Rejects while the broker cannot be reached. Asked once a second: a rejection with ERR_TRANSPORT_UNAVAILABLE, but not
   * with `outcome: 'unknown'`, makes a gateway unready at once, until a later one resolves.
   */
  check(): Promise<void>
}
