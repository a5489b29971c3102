import { ProduceError, type Refusal } from '../client.js'

/** What an error of the client says about itself, as far as it is looked at. */
interface ClientError extends Error {
  readonly apiId?: string
  readonly errors?: readonly ClientError[]
}

/** Before a connection stands nothing can have been sent. */
const NOT_CONNECTED =
  /^(?:Connection to .* (?:failed|timed out)|Connection ready timed out|Connection closed while waiting|Cannot connect|Cannot find broker)/

/** What the client itself makes of it when it looks a topic up. */
const NO_TOPIC = /^Unknown topic/
const NO_TOPIC_IDS = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID'])

/** Brokers append before they count the replicas that have it, and time out while they wait for them. */
const MAY_BE_WRITTEN = new Set(['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'UNKNOWN_SERVER_ERROR'])

/** What goes away by itself: the next try may find another leader, or enough replicas. */
const PASSING = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'NOT_ENOUGH_REPLICAS',
  'BROKER_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
])

/** What never goes away: a record that is too large, has no key for a compacted topic, or a time far from the broker's. */
const PERMANENT = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP']

/** Says of a failed produce call what is certain. */
export function toProduceError(error: unknown): ProduceError {
  const isPermanent = PERMANENT.some((apiId) => isApiError(error, apiId))
  return new ProduceError(refusalOf(error as ClientError), error, isPermanent)
}

const ORDER: readonly Refusal[] = ['unknown', 'rejected', 'missing']

function refusalOf(error: ClientError): Refusal {
  const leaves = leavesOf(error)
  const refusals = leaves.map(refusalOfLeaf)
  // A call to several partitions may have failed in one and succeeded in another: then one alone will tell.
  return ORDER.find((refusal) => refusals.includes(refusal)) ?? 'unavailable'
}

function refusalOfLeaf({ message, apiId }: ClientError): Refusal {
  if (NOT_CONNECTED.test(message)) return 'unavailable'
  if (NO_TOPIC.test(message) || NO_TOPIC_IDS.has(apiId ?? '')) return 'missing'
  if (apiId === undefined || MAY_BE_WRITTEN.has(apiId)) return 'unknown'
  return PASSING.has(apiId) ? 'unavailable' : 'rejected'
}

/** The errors inside an error that stands for several; the client adds one to INVALID_RECORD that says nothing. */
function leavesOf(error: ClientError): ClientError[] {
  if (error.errors === undefined || error.errors.length === 0) return [error]
  const leaves = error.errors.flatMap(leavesOf)
  const isInvalid = leaves.some(({ apiId }) => apiId === 'INVALID_RECORD')
  return isInvalid ? leaves.filter(({ apiId }) => apiId !== 'UNKNOWN_SERVER_ERROR') : leaves
}

/** True when a broker has answered with this error. */
export function isApiError(error: unknown, apiId: string): boolean {
  return leavesOf(error as ClientError).some((leaf) => leaf.apiId === apiId)
}
