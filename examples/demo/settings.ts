/** What the environment and the command line say. */
export interface Settings {
  readonly framework: Framework
  readonly port: number
  readonly waitMs: number
  /** Run the documented requests against a server of their own, and end. */
  readonly once: boolean
  readonly transport: TransportName
  readonly store: StoreName
  readonly instances: number
  readonly workers: number
  /** Begins the name of every queue, topic, key and table. */
  readonly prefix: string
  /** What this process is to be; undefined for the one that was started by hand. */
  readonly role: Role | undefined
}

/** The adapters to choose from. */
export type Framework = (typeof FRAMEWORKS)[number]
/** The brokers to choose from. */
export type TransportName = (typeof TRANSPORTS)[number]
/** The stores to choose from. */
export type StoreName = (typeof STORES)[number]

/** One process of many. */
export interface Role {
  readonly kind: 'gateway' | 'worker'
  readonly index: number
}

const FRAMEWORKS = ['express', 'fastify', 'fetch'] as const
const TRANSPORTS = ['memory', 'amqp', 'kafka'] as const
const STORES = ['memory', 'redis', 'postgres'] as const
const OPTIONS = ['--transport', '--store', '--instances', '--workers', '--once'] as const
const MOST_PROCESSES = 64

/** A mistake in the options or variables: the process ends with 2. */
export class UsageError extends Error {}

/**
 * Reads PORT, GATEWAY_WAIT_MS, FRAMEWORK, DEMO_PREFIX and the options.
 * @throws UsageError that says what was given and what is allowed.
 */
export function readSettings(env: NodeJS.ProcessEnv, args: readonly string[]): Settings {
  const framework = env.FRAMEWORK || 'fastify'
  if (!isOneOf(framework, FRAMEWORKS)) {
    throw new UsageError(`FRAMEWORK is "${framework}"; allowed is ${FRAMEWORKS.join(', ')}.`)
  }
  const prefix = env.DEMO_PREFIX || 'demo'
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,39}$/.test(prefix)) {
    const allowed = '1 to 40 letters, digits, dots, hyphens and underscores, with a letter in front'
    throw new UsageError(`DEMO_PREFIX is "${prefix}"; allowed is ${allowed}.`)
  }
  const settings = {
    framework,
    prefix,
    port: readNumber('PORT', env.PORT || '3000', 65_535),
    waitMs: readNumber('GATEWAY_WAIT_MS', env.GATEWAY_WAIT_MS || '2000', 240_000),
    ...readOptions(args),
    role: readRole(env.DEMO_ROLE),
  }
  checkTogether(settings)
  return settings
}

function readOptions(args: readonly string[]) {
  const given = new Map<string, string>()
  for (let at = 0; at < args.length; at += 1) {
    const [, option = '', inline] = /^([^=]*)(?:=(.*))?$/s.exec(args[at] ?? '') ?? []
    if (!isOneOf(option, OPTIONS)) {
      throw new UsageError(`The demo does not know "${option}"; allowed is ${OPTIONS.join(', ')}.`)
    }
    if (option === '--once' && inline !== undefined) throw new UsageError(`--once takes no value, not "${inline}".`)
    if (option === '--once') given.set(option, '')
    else given.set(option, inline ?? args[++at] ?? '')
  }
  return {
    once: given.has('--once'),
    transport: choose('--transport', given, TRANSPORTS),
    store: choose('--store', given, STORES),
    instances: count('--instances', given),
    workers: count('--workers', given),
  }
}

function choose<Name extends string>(option: string, given: ReadonlyMap<string, string>, names: readonly Name[]): Name {
  const value = given.get(option) ?? names[0] ?? ''
  if (isOneOf(value, names)) return value
  throw new UsageError(`${option} is "${value}"; allowed is ${names.join(', ')}.`)
}

function count(option: string, given: ReadonlyMap<string, string>): number {
  const text = given.get(option) ?? '1'
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= MOST_PROCESSES) return Number(text)
  throw new UsageError(`${option} is "${text}"; allowed is a whole number from 1 to ${MOST_PROCESSES}.`)
}

/** What is possible by itself need not be together with the rest. */
function checkTogether({ transport, store, instances, workers, once, port }: Omit<Settings, 'role'>): void {
  const several = instances > 1 ? `--instances ${instances}` : workers > 1 ? `--workers ${workers}` : undefined
  if (several !== undefined && transport === 'memory') {
    throw new UsageError(`${several} needs a broker: the memory transport is for one process; add --transport amqp.`)
  }
  if (several !== undefined && store === 'memory') {
    throw new UsageError(`${several} needs a store that processes can share: add --store redis or --store postgres.`)
  }
  if (once && transport !== 'memory') {
    throw new UsageError('--once is for the memory transport: its users must not be there from the run before.')
  }
  if (transport !== 'memory' && (port === 0 || port + instances - 1 > 65_535)) {
    throw new UsageError(`PORT is "${port}"; allowed is a port behind which there are ${instances} of them.`)
  }
}

function readRole(text: string | undefined): Role | undefined {
  const [, kind, index] = /^(gateway|worker) (\d+)$/.exec(text ?? '') ?? []
  return kind === undefined ? undefined : { kind: kind as Role['kind'], index: Number(index) }
}

function isOneOf<Name extends string>(value: string, names: readonly Name[]): value is Name {
  return (names as readonly string[]).includes(value)
}

function readNumber(name: string, text: string, greatest: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= greatest) return value
  throw new UsageError(`${name} is "${text}"; allowed is a whole number from 0 to ${greatest}.`)
}
