import { type Clock, systemClock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import {
  checkClock,
  configError,
  hasMethods,
  type NumberRule,
  refuseUnknown,
  resolveNumbers,
} from '../../core/options.js'
import { warnOfUnverifiedTls } from '../../core/tls.js'
import { bindingWith } from './binding.js'
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
    /** A header in which workers carry the correlation id on events of their own. @default those that are usual */
    readonly correlationHeader?: string
  }
  /** `direct` is RabbitMQ's direct reply-to: the least latency, but replies are lost with the connection. @default 'topic' */
  readonly replies?: 'topic' | 'direct'
  /** Where workers answer that know only `reply_to`: a queue of this instance, or the one of the recorders. @default 'own' */
  readonly replyTo?: 'own' | 'recorder'
  /**
   * Keeps results for read models: all in a stream, or, with 'queues', in a durable queue for each of them, until a
   * snapshot has them. @default false
   */
  readonly replay?: boolean | 'queues' | { readonly maxAge?: string; readonly maxBytes?: number }
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

const REPLAY = { maxBytes: [undefined, 1, Number.MAX_SAFE_INTEGER] } as const satisfies Record<string, NumberRule>

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
  const { prefix = 'respond-async', requests = {}, results = {}, socket, client, url, connection } = options
  checkConnection(options)
  if (typeof prefix !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(prefix))
    throw configError('prefix', prefix, '1 to 64 letters, digits, dots, hyphens and underscores')
  checkRequests(requests)
  checkResults(results)
  warnOfUnverifiedTls(socket, 'socket')
  const { waitForBroker = false, clock = systemClock } = options
  if (typeof waitForBroker !== 'boolean') throw configError('waitForBroker', waitForBroker, 'true or false')
  checkClock(clock)
  const { deliveryLimit } = resolveNumbers(LIMITS, requests as Readonly<Record<string, unknown>>)
  const numbers = resolveNumbers(NUMBERS, options as unknown as Readonly<Record<string, unknown>>)
  return {
    ...{ ...numbers, ...repliesOf(options), url, socket, connection, client, prefix, waitForBroker, clock },
    requests: { ...requests, deliveryLimit },
    results,
    binding: bindingWith(results.correlationHeader),
  }
}

/** How answers come, and whether they are kept. */
function repliesOf({ replies = 'topic', replyTo = 'own', replay = false }: AmqpOptions) {
  oneOf('replies', replies, ['topic', 'direct'])
  oneOf('replyTo', replyTo, ['own', 'recorder'])
  // The recorder would never see a direct reply.
  if (replies === 'direct' && replyTo === 'recorder')
    throw configError('replyTo', replyTo, "'own', as replies: 'direct' come to the one that asked")
  checkReplay(replay)
  if (replies === 'direct' && replay !== false)
    throw configError('replay', replay, "false, as replies: 'direct' reach no stream and no queue")
  return { replies, replyTo, replay }
}

function checkReplay(replay: unknown): void {
  if (typeof replay === 'boolean' || replay === 'queues') return
  if (typeof replay !== 'object' || replay === null || Array.isArray(replay))
    throw configError('replay', replay, "true, false, 'queues' or { maxAge, maxBytes }")
  refuseUnknown(replay, ['maxAge', 'maxBytes'], 'replay of amqp()')
  const { maxAge } = replay as { readonly maxAge?: unknown }
  if (maxAge !== undefined && !(typeof maxAge === 'string' && /^[1-9]\d*[YMDhms]$/.test(maxAge)))
    throw configError('replay.maxAge', maxAge, "a number and Y, M, D, h, m or s, such as '7D' or '12h'")
  resolveNumbers(REPLAY, replay as Readonly<Record<string, unknown>>)
}

function checkConnection({ url, connection }: AmqpOptions): void {
  const isThere = typeof connection === 'function' || hasMethods(connection, CONNECTION_METHODS)
  if ((url === undefined) === (connection === undefined) || (url === undefined && !isThere))
    throw configError('connection', connection, 'an amqplib connection, or a function that makes one, or else a url')
  if (url !== undefined) checkUrl(url)
}

const CONNECTION_METHODS = ['createChannel', 'createConfirmChannel', 'close', 'on']

function checkRequests(requests: NonNullable<AmqpOptions['requests']>): void {
  refuseUnknown(requests, ['exchange', 'routes', 'queues', 'deliveryLimit'], 'requests of amqp()')
  const { exchange, routes = {}, queues = {} } = requests
  checkName('requests.exchange', exchange)
  checkMap('requests.routes', routes, '{ exchange, key } by event type')
  for (const [type, route] of Object.entries(routes)) checkRoute(`requests.routes: ${type}`, route)
  checkMap('requests.queues', queues, 'names of queues by event type')
  for (const [type, queue] of Object.entries(queues))
    checkName(`requests.queues: ${type}`, queue, 'the name of a queue')
}

function checkRoute(name: string, route: RequestRoute): void {
  checkMap(name, route, '{ exchange, key }')
  refuseUnknown(route, ['exchange', 'key'], name)
  const { exchange = '', key } = route
  if (typeof exchange !== 'string') throw configError(`${name}, exchange`, exchange, 'the name of an exchange')
  if (typeof key !== 'string') throw configError(`${name}, key`, key, 'a routing key')
}

function checkResults(results: NonNullable<AmqpOptions['results']>): void {
  refuseUnknown(results, ['exchange', 'keys', 'correlationHeader'], 'results of amqp()')
  const { exchange, keys = [], correlationHeader } = results
  checkName('results.exchange', exchange)
  checkName('results.correlationHeader', correlationHeader, 'the name of a header')
  if (!Array.isArray(keys) || keys.some((key) => typeof key !== 'string' || key === ''))
    throw configError('results.keys', keys, "a list of binding keys, such as ['users.#']")
}

function checkName(name: string, value: unknown, allowed = 'the name of an exchange that exists'): void {
  if (value !== undefined && !(typeof value === 'string' && value !== '')) throw configError(name, value, allowed)
}

function checkMap(name: string, value: unknown, allowed: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw configError(name, value, allowed)
}

function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw configError(name, value, allowed.map((one) => `'${one}'`).join(' or '))
}

/** The URL may hold a password, so that no error shows it. */
function checkUrl(url: unknown): void {
  const isUrl = typeof url === 'string' && URL.canParse(url) && /^amqps?:$/.test(new URL(url).protocol)
  if (isUrl) return
  const text = 'url is not shown here, and not valid; allowed is a URL that begins with amqp:// or amqps://'
  throw new GatewayError('ERR_CONFIG', `${text}, with special characters of user and password percent-encoded.`)
}
