import { type Clock, systemClock } from '../../core/clock.js'
import { checkClock, configError, refuseUnknown, resolveNumbers } from '../../core/options.js'
import type { KafkaBinding } from '../profiles/kafka-wire.js'
import { bindingWith } from './binding.js'
import type { KafkaClient, OptionNames } from './client.js'
import { platformatic } from './platformatic/index.js'
import type { KafkaTopics } from './topics.js'

/** How to reach Kafka, and which topics to use there. Either `brokers` or `client` is given. */
export interface KafkaOptions {
  /** `['host:9092']`: the same as `client: platformatic({ bootstrapBrokers })`. */
  readonly brokers?: readonly string[]
  /** `platformatic({ … })` or `kafkajs(new Kafka({ … }))`, for TLS, credentials and everything else. */
  readonly client?: KafkaClient
  readonly topics: KafkaTopics
  /** Begins the names of all consumer groups, where access is granted by prefix. @default '' */
  readonly groupPrefix?: string
  /** The largest body that is sent; less where a topic takes less. @default 1000000 */
  readonly maxBodyBytes?: number
  /** How many produce calls may be under way; what comes meanwhile goes together in the next one. @default 5 */
  readonly inFlight?: number
  /** A header in which workers carry the correlation id on events of their own. @default those that are usual */
  readonly correlationHeader?: string
  readonly clock?: Clock
}

/** The options with their defaults. */
export interface KafkaSettings {
  readonly client: KafkaClient
  readonly optionNames: OptionNames
  readonly topics: KafkaTopics
  readonly groupPrefix: string
  readonly maxBodyBytes: number
  readonly inFlight: number
  readonly clock: Clock
  readonly binding: KafkaBinding
}

const OF_CLIENT: OptionNames = { brokers: 'client', tls: 'client', sasl: 'client' }
const OF_BROKERS: OptionNames = {
  brokers: 'brokers of kafka()',
  tls: 'client: platformatic({ tls })',
  sasl: 'client: platformatic({ sasl })',
}

const NUMBERS = { maxBodyBytes: [1_000_000, 1, 1_000_000_000], inFlight: [5, 1, 100] } as const
const NAMES = [...Object.keys(NUMBERS), 'brokers', 'client', 'topics', 'groupPrefix', 'correlationHeader', 'clock']

/**
 * Checks the options and fills in the defaults.
 * @throws GatewayError ERR_CONFIG that says what was given and what is allowed.
 */
export function resolveKafkaOptions(options: KafkaOptions): KafkaSettings {
  refuseUnknown(options, NAMES, 'kafka()')
  const { topics, groupPrefix = '', correlationHeader, clock = systemClock } = options
  if (typeof groupPrefix !== 'string' || !/^[A-Za-z0-9._-]{0,100}$/.test(groupPrefix))
    throw configError('groupPrefix', groupPrefix, 'up to 100 letters, digits, dots, hyphens and underscores')
  if (correlationHeader !== undefined && (typeof correlationHeader !== 'string' || correlationHeader === ''))
    throw configError('correlationHeader', correlationHeader, 'the name of a header')
  checkClock(clock)
  const numbers = resolveNumbers(NUMBERS, { ...options })
  const client = clientOf(options)
  const optionNames = options.brokers === undefined ? (client.optionNames ?? OF_CLIENT) : OF_BROKERS
  return { ...numbers, client, optionNames, topics, groupPrefix, clock, binding: bindingWith(correlationHeader) }
}

function clientOf({ brokers, client }: KafkaOptions): KafkaClient {
  if ((brokers === undefined) === (client === undefined))
    throw configError('brokers', brokers, 'a list of addresses, or a client instead of it')
  if (client !== undefined) {
    if (typeof client?.produce === 'function') return client
    throw configError('client', client, 'platformatic({ bootstrapBrokers }) or kafkajs(new Kafka({ brokers }))')
  }
  const isList =
    Array.isArray(brokers) && brokers.length > 0 && brokers.every((one) => typeof one === 'string' && isAddress(one))
  if (!isList)
    throw configError(
      'brokers',
      brokers,
      "a list of addresses such as ['localhost:9092'], without kafka:// before them",
    )
  return platformatic({ bootstrapBrokers: brokers })
}

function isAddress(text: string): boolean {
  const port = Number(/^[^\s:]+:(\d+)$/.exec(text)?.[1] ?? 0)
  return port > 0 && port < 65_536
}
