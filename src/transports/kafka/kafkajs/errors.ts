import { ProduceError, type Refusal } from '../client.js'

interface ClientError extends Error {
  /** The broker's own error. */
  readonly type?: string
  readonly code?: string | number
  readonly cause?: unknown
}

/** Before a connection stands nothing can have been sent. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'])
const NOT_SENT = /^(?:Connection timeout|Failed to connect|Not connected|The producer is disconnected)/
const NO_LEADER = new Set(['KafkaJSBrokerNotFound', 'KafkaJSMetadataNotLoaded', 'KafkaJSTopicMetadataNotLoaded'])

/** Brokers append before they count the replicas that have it, and time out while they wait for them. */
const MAY_BE_WRITTEN = new Set(['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'UNKNOWN'])
/** What never goes away: a record that is too large, has no key for a compacted topic, or a time far from the broker's. */
const PERMANENT = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP'])
const PASSING = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'NOT_ENOUGH_REPLICAS',
  'BROKER_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
])

/** Whether the same call may work a moment later. */
export function isPassing(error: unknown): boolean {
  return PASSING.has(innermost(error as ClientError).type ?? '')
}

/** True when a topic is not there. */
export function isMissing(error: unknown): boolean {
  return innermost(error as ClientError).type === 'UNKNOWN_TOPIC_OR_PARTITION'
}

/** Says of a failed call of the producer what is certain. */
export function toProduceError(error: unknown): ProduceError {
  const inner = innermost(error as ClientError)
  const refusal = isMissing(inner) ? 'missing' : refusalOf(inner)
  return new ProduceError(refusal, error, PERMANENT.has(inner.type ?? ''))
}

/** kafkajs wraps what has failed in what it has tried. */
function innermost(error: ClientError): ClientError {
  return error.cause instanceof Error ? innermost(error.cause) : error
}

function refusalOf({ name, message, type, code }: ClientError): Refusal {
  if (NOT_CONNECTED.has(String(code)) || NOT_SENT.test(message) || NO_LEADER.has(name)) return 'unavailable'
  if (type === undefined || MAY_BE_WRITTEN.has(type)) return 'unknown'
  return PASSING.has(type) ? 'unavailable' : 'rejected'
}
