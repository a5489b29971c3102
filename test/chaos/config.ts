/** What the processes of a run are told. */
export interface ProcessConfig {
  readonly transport: 'memory' | 'amqp' | 'kafka'
  readonly store: 'memory' | 'redis' | 'postgres'
  /** Where the broker and the store are, as this process is to see them: behind a proxy. */
  readonly brokerAddress: string
  readonly storeAddress: string
  /** Starts the name of every queue, topic, key and table. */
  readonly prefix: string
  readonly index: number
  readonly port: number
  /** Where workers write what they carried out, one line of JSON each. */
  readonly executionsFile: string
}

/** Options of the gateways that the checker's limits follow from. Durations in milliseconds. */
export const SETTINGS = {
  waitMs: 2000,
  storeTimeoutMs: 1000,
  publishTimeoutMs: 1000,
  relayAfterMs: 2000,
  drainMs: 5000,
} as const

/** How long each gateway may take to its first success when a part is back. */
export const HEAL_MS = 5000
/** What every bound is given on top. */
export const GRACE_MS = 250

/** The header in which a gateway says why it answered 202. */
export const BECAUSE = 'chaos-because'

const VARIABLE = 'CHAOS_PROCESS'

/** The environment of a process with this configuration. */
export function toEnvironment(config: ProcessConfig): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(config) }
}

/** The configuration of this process. */
export function fromEnvironment(): ProcessConfig {
  return JSON.parse(process.env[VARIABLE] ?? '') as ProcessConfig
}
