import type { LogFacts } from '../../core/transport.js'
import type { TopicFacts } from './client.js'

/** What can be said of topics as a log, and what the broker denies to say. */
export interface LogAnswer {
  readonly log: LogFacts
  readonly unknown: readonly string[]
}

const SETTINGS = [
  ['cleanupPolicy', 'cleanup.policy'],
  ['retentionMs', 'retention.ms'],
  ['retentionBytes', 'retention.bytes'],
] as const satisfies readonly (readonly [keyof TopicFacts, string])[]

/** Several topics are one log: it keeps what all of them keep. What is not known counts as kept. */
export function logFactsOf(topics: ReadonlyMap<string, TopicFacts>): LogAnswer {
  const all = [...topics.values()]
  const unknown = [...topics].flatMap(([topic, facts]) =>
    SETTINGS.filter(([field]) => facts[field] === undefined).map(([, name]) => `${name} of ${topic}`),
  )
  return {
    log: { isCompacted: all.some(({ cleanupPolicy }) => isCompacted(cleanupPolicy)), dropsOld: dropsOld(all) },
    unknown,
  }
}

/** True for a policy by which a message may be removed for another one with its key. */
export function isCompacted(cleanupPolicy: string | undefined): boolean {
  return cleanupPolicy?.includes('compact') ?? false
}

/** A topic that is only compacted keeps the last record of each key, whatever its retention says. */
function dropsOld(all: readonly TopicFacts[]): string | undefined {
  const limits = all
    .filter(({ cleanupPolicy }) => cleanupPolicy === undefined || cleanupPolicy.includes('delete'))
    .flatMap(({ retentionMs = -1, retentionBytes = -1 }) => [
      ...(retentionMs >= 0 ? [`retention.ms=${retentionMs}`] : []),
      ...(retentionBytes >= 0 ? [`retention.bytes=${retentionBytes}`] : []),
    ])
  return limits.length === 0 ? undefined : [...new Set(limits)].join(', ')
}
