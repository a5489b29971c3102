import { type Clock, systemClock } from '../../core/clock.js'
import { configError, type NumberRule, refuseUnknown, resolveNumbers } from '../../core/options.js'
import type { AmqpClient, AmqpConnection } from './client.js'

/** Where request events of one type go when their worker has an exchange or a queue of its own. */
export interface RequestRoute {
  /** @default '', the default exchange, whose routing keys are names of queues */
  readonly exchange?: string
  readonly key: string
}

/** How to reach RabbitMQ, and what to use there. Either `url` or `connection` is given. */
export interface AmqpOptions {
  /** `amqp://user:password@host:5672/vhost`, or `amqps:`; connections are then made, and made again, by us. */
  readonly url?: string
  /** Passed on to amqplib's `connect` with the URL: `ca`, `cert`, `servername`, `clientProperties` and so on. */
  readonly socket?: Readonly<Record<string, unknown>>
  /** An open connection of amqplib, whose loss ends the transport, or a function that makes one whenever it is needed. */
  readonly connection?: AmqpConnection | (() => Promise<AmqpConnection>)
  /** The module `amqplib`. @default it is imported */
  readonly client?: AmqpClient
  /** Begins the names of all exchanges and queues that are declared. @default 'respond-async' */
  readonly prefix?: string
  readonly requests?: {
    /** An exchange that exists; it is checked, not declared. @default `<prefix>.requests`, declared */
    readonly exchange?: string
    /** By event type: where requests go whose worker does not read from our queues. Their exchanges are only checked. */
    readonly routes?: Readonly<Record<string, RequestRoute>>
    /** By event type: queues that exist, from which a worker is to read; they are checked, not declared. */
    readonly queues?: Readonly<Record<string, string>>
    /** How often a request may come back before it is parked. @default 20 */
    readonly deliveryLimit?: number
  }
  readonly results?: {
    /** A topic exchange that exists; it is checked, not declared. @default `<prefix>.results`, declared */
    readonly exchange?: string
    /** Binding keys of the result events of workers that do not know where they are awaited. @default their types */
    readonly keys?: readonly string[]
  }
  /** `direct` is RabbitMQ's direct reply-to: the least latency, but replies are lost with the connection. @default 'topic' */
  readonly replies?: 'topic' | 'direct'
  /** Where workers answer that know only `reply_to`: a queue of this instance, or the one of the recorders. @default 'own' */
  readonly replyTo?: 'own' | 'recorder'
  /** Keeps all results in a stream from which read models are built. @default false */
  readonly replay?: boolean | { readonly maxAge?: string; readonly maxBytes?: number }
  /** The largest body that the broker takes, its `max_message_size`. @default 16777216 */
  readonly maxBodyBytes?: number
  /** A connection is given up when it is silent for two of these. @default 5 */
  readonly heartbeatSeconds?: number
  /** How long making a connection may take. @default 5000 */
  readonly connectTimeoutMs?: number
  /** True: `start` waits for a broker that cannot be reached, instead of failing. @default false */
  readonly waitForBroker?: boolean
  readonly clock?: Clock
}

const NUMBERS = {
  maxBodyBytes: [16 * 1024 * 1024, 1, 536_870_912],
  heartbeatSeconds: [5, 1, 3600],
  connectTimeoutMs: [5000, 1, 600_000],
} as const satisfies Record<string, NumberRule>

const LIMITS = { deliveryLimit: [20, 1, 1_000_000] } as const satisfies Record<string, NumberRule>

const OPTIONS = [
  ...['url', 'socket', 'connection', 'client', 'prefix', 'requests', 'results', 'replies', 'replyTo', 'replay'],
  ...['waitForBroker', 'clock', ...Object.keys(NUMBERS)],
]

/** The options with their defaults. */
export type AmqpSettings = ReturnType<typeof resolveSettings>

/**
 * Checks the options and fills in the defaults.
 * @throws GatewayError ERR_CONFIG that says what was given and what is allowed.
 */
export function resolveSettings(options: AmqpOptions) {
  refuseUnknown(options, OPTIONS, 'amqp()')
  const { url, connection, prefix = 'respond-async', requests = {}, results = {} } = options
  if ((url === undefined) === (connection === undefined))
    throw configError('connection', connection, 'an amqplib connection, or a function that makes one, or else a url')
  if (url !== undefined) checkUrl(url)
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(prefix))
    throw configError('prefix', prefix, '1 to 64 letters, digits, dots, hyphens and underscores')
  refuseUnknown(requests, ['exchange', 'routes', 'queues', 'deliveryLimit'], 'requests of amqp()')
  refuseUnknown(results, ['exchange', 'keys'], 'results of amqp()')
  const { replies = 'topic', replyTo = 'own', replay = false, waitForBroker = false, clock = systemClock } = options
  oneOf('replies', replies, ['topic', 'direct'])
  oneOf('replyTo', replyTo, ['own', 'recorder'])
  const { deliveryLimit } = resolveNumbers(LIMITS, requests as Readonly<Record<string, unknown>>)
  const numbers = resolveNumbers(NUMBERS, options as unknown as Readonly<Record<string, unknown>>)
  const { socket, client } = options
  return {
    ...{ ...numbers, url, socket, connection, client, prefix, replies, replyTo, replay, waitForBroker, clock },
    requests: { ...requests, deliveryLimit },
    results,
  }
}

function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw configError(name, value, allowed.map((one) => `'${one}'`).join(' or '))
}

/** The URL may hold a password, so that no error shows it. */
function checkUrl(url: unknown): void {
  const isUrl = typeof url === 'string' && URL.canParse(url) && /^amqps?:$/.test(new URL(url).protocol)
  if (!isUrl) throw configError('url', 'what is given', 'a URL that begins with amqp:// or amqps://')
}
