/** The names that belong to a prefix; on Kafka those of topics. */
export interface Names {
  readonly requests: string
  readonly results: string
  /** The queue or group that shares the results. */
  readonly recorder: string
  /** What calls are sent to, and on Kafka where their answers go. */
  readonly calls: string
  readonly replies: string
}

const SERVICE = 'gateway'

/** The names under a prefix; those of exchanges and of the recorder are what respond-async makes of its prefix. */
export function namesOf(prefix: string): Names {
  return {
    requests: `${prefix}.requests`,
    results: `${prefix}.results`,
    recorder: `${prefix}.results.${SERVICE}.recorder`,
    calls: `${prefix}.calls`,
    replies: `${prefix}.calls.reply`,
  }
}

/** A name that Postgres takes for a schema without quotes. */
export function schemaOf(prefix: string): string {
  return prefix.replaceAll('-', '_')
}
