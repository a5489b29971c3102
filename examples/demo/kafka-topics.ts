import { Admin } from '@platformatic/kafka'
import { GatewayError } from 'respond-async'

const EXISTS = 'TOPIC_ALREADY_EXISTS'
/** Answers that will be the same at the next start. */
const LASTING = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_CONFIG',
  'POLICY_VIOLATION',
])

/**
 * Makes the topics that are missing, with as many replicas as the brokers give by themselves. They are kept without end,
 * as users are made of all results that there ever were.
 * @throws GatewayError ERR_CONFIG when the brokers refuse that for good, ERR_TRANSPORT_UNAVAILABLE when it may pass.
 */
export async function createTopics(bootstrapBrokers: readonly string[], topics: readonly string[]): Promise<void> {
  const admin = new Admin({ clientId: 'demo', bootstrapBrokers: [...bootstrapBrokers], retries: 1 })
  try {
    const known = await admin.listTopics()
    const missing = topics.filter((topic) => !known.includes(topic))
    const configs = ['retention.ms', 'retention.bytes'].map((name) => ({ name, value: '-1' }))
    if (missing.length > 0) await admin.createTopics({ topics: missing, partitions: 4, replicas: -1, configs })
  } catch (error) {
    judge(error, { brokers: bootstrapBrokers, topics })
  } finally {
    await admin.close()
  }
}

interface Answer extends Error {
  readonly apiId?: string
}

interface Asked {
  readonly brokers: readonly string[]
  readonly topics: readonly string[]
}

function judge(error: unknown, { brokers, topics }: Asked): void {
  // Another process of the demo may be faster.
  const answers = answersIn(error).filter(({ apiId }) => apiId !== EXISTS)
  if (answers.length === 0) return
  const lasting = answers.find(({ apiId = '' }) => LASTING.has(apiId))
  if (lasting === undefined) {
    const text = `Kafka at ${brokers.join(', ')} cannot be asked for its topics: ${answers[0]?.message}`
    throw new GatewayError('ERR_TRANSPORT_UNAVAILABLE', text, { cause: error })
  }
  const text = `Kafka refuses to make the topics ${topics.join(' and ')}: ${lasting.message}`
  throw new GatewayError('ERR_CONFIG', text, { cause: error })
}

/** What is said of each topic. */
function answersIn(error: unknown): Answer[] {
  const inner: unknown[] = error instanceof AggregateError ? error.errors : []
  return inner.length > 0 ? inner.flatMap(answersIn) : [error as Answer]
}
