/** The servers that the package works with. */
export type Kind = 'amqp' | 'kafka' | 'redis' | 'postgres'

/** What is known about a kind of server. */
export interface KindInfo {
  readonly title: string
  /** The environment variable that names a server to use. */
  readonly variable: string
  readonly port: number
  /** An address for a host and port, as the variable holds it. */
  address(at: string): string
}

export const KINDS: Readonly<Record<Kind, KindInfo>> = {
  amqp: { title: 'RabbitMQ', variable: 'AMQP_URL', port: 5672, address: (at) => `amqp://guest:guest@${at}` },
  kafka: { title: 'Kafka', variable: 'KAFKA_BROKERS', port: 9092, address: (at) => at },
  redis: { title: 'Redis', variable: 'REDIS_URL', port: 6379, address: (at) => `redis://${at}` },
  postgres: {
    title: 'PostgreSQL',
    variable: 'DATABASE_URL',
    port: 5432,
    address: (at) => `postgres://postgres@${at}/postgres`,
  },
}

export const KIND_NAMES = Object.keys(KINDS) as readonly Kind[]

/** A place to connect to. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/**
 * Where an address leads: a URL, or for Kafka the first of a list of `host:port`.
 * @throws Error that names the variable and says what it should hold.
 */
export function endpointOf(kind: Kind, address: string): Endpoint {
  const { port: standard, variable, address: example } = KINDS[kind]
  const first = kind === 'kafka' ? `kafka://${address.split(',', 1)[0]?.trim()}` : address
  try {
    const { hostname, port } = new URL(first)
    if (hostname === '') throw new Error('no host')
    return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? standard : Number(port) }
  } catch (cause) {
    // Not quoted: it may hold a password.
    throw new Error(`${variable} is no address; it should look like ${example(`127.0.0.1:${standard}`)}`, { cause })
  }
}
