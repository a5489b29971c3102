import { GatewayError } from '../../core/errors.js'
import type { Durability } from '../../core/transport.js'
import type { RedisConnection } from './connection.js'
import { isDenied, toStoreError } from './errors.js'

/** What the start has found out about a server. */
export interface Findings {
  readonly durability: Durability
  /** Checks that the server denied to this user. */
  readonly skipped: readonly string[]
}

/**
 * Looks whether a server can keep operations, and how well.
 * @throws GatewayError ERR_CONFIG for a cluster, a replica, and a server that may evict.
 */
export async function inspect(connection: RedisConnection): Promise<Findings> {
  const skipped: string[] = []
  const ask = asking(connection, skipped)
  const info = parseInfo(await ask(['INFO']))
  refuse(info)
  const evicts = evictionOf(await policyOf(ask, info))
  if (evicts !== undefined) throw new GatewayError('ERR_CONFIG', evicts)
  const isLogged = info.get('aof_enabled') === '1' || (await setting(ask, 'appendonly')) === 'yes'
  const sync = isLogged ? await setting(ask, 'appendfsync') : undefined
  // Without a sync at the time of a rewrite of the log nobody knows how much a crash then costs.
  const isAlwaysSynced = sync !== undefined && (await setting(ask, 'no-appendfsync-on-rewrite')) === 'no'
  return { durability: durabilityOf(isAlwaysSynced ? sync : undefined), skipped }
}

/**
 * Looks again whether a server may evict: its settings can be changed, and another server may have taken its place.
 * @throws GatewayError ERR_STORE_UNAVAILABLE while it may.
 */
export async function checkEviction(connection: RedisConnection): Promise<void> {
  const ask = asking(connection, [])
  const evicts = evictionOf(await policyOf(ask, parseInfo(await ask(['INFO', 'memory']))))
  if (evicts !== undefined) throw new GatewayError('ERR_STORE_UNAVAILABLE', evicts, { outcome: 'not-accepted' })
}

/**
 * Some clients can be told to give numbers as texts, and a text is what a script says of an item that has failed.
 * @throws GatewayError ERR_CONFIG for such a client.
 */
export async function refuseNumbersAsTexts(connection: RedisConnection): Promise<void> {
  if ((await connection.sendCommand(['EVAL', 'return 1', '0'])) === 1) return
  const text =
    'client: this client does not give numbers as numbers. Leave stringNumbers of ioredis out, and NUMBER in a typeMapping of node-redis (option client).'
  throw new GatewayError('ERR_CONFIG', text)
}

type Ask = (args: readonly string[]) => Promise<unknown>

/** Asks a server; what this user may not ask is noted, and not known. */
function asking(connection: RedisConnection, skipped: string[]): Ask {
  return async (args) => {
    try {
      return await connection.sendCommand(args)
    } catch (error) {
      if (!isDenied(error)) throw toStoreError(error)
      skipped.push(args.join(' '))
      return undefined
    }
  }
}

async function policyOf(ask: Ask, info: ReadonlyMap<string, string>): Promise<string | undefined> {
  return info.get('maxmemory_policy') ?? (await setting(ask, 'maxmemory-policy'))
}

/** The value of a setting; clients give the pair as a list, an object or a map. */
async function setting(ask: Ask, name: string): Promise<string | undefined> {
  const reply = await ask(['CONFIG', 'GET', name])
  if (Array.isArray(reply)) return reply[1] === undefined ? undefined : String(reply[1])
  if (reply instanceof Map) return reply.get(name)
  return (reply as Record<string, string> | undefined)?.[name]
}

function parseInfo(reply: unknown): ReadonlyMap<string, string> {
  const lines = typeof reply === 'string' ? reply.split('\r\n') : []
  return new Map(
    lines.filter((line) => line.includes(':')).map((line) => [line.replace(/:.*/, ''), line.replace(/^[^:]*:/, '')]),
  )
}

function refuse(info: ReadonlyMap<string, string>): void {
  if (info.get('cluster_enabled') === '1') {
    const text =
      'client: this is a Redis Cluster, where an operation and its idempotency key may lie on different nodes and cannot be written together. Give the store a Redis of its own that is no cluster (a primary with replicas is fine).'
    throw new GatewayError('ERR_CONFIG', text)
  }
  if (info.get('role') === 'slave') {
    const text = 'client: this Redis is a replica, which takes no writes and lags. Connect to the primary.'
    throw new GatewayError('ERR_CONFIG', text)
  }
}

/** Why this policy will not do. Also without a limit of memory: one that is set later would evict at once. */
function evictionOf(policy: string | undefined): string | undefined {
  if (policy === undefined || policy === 'noeviction') return undefined
  return `client: this Redis evicts keys when its memory is full (maxmemory-policy ${policy}), so accepted operations would vanish. Set "maxmemory-policy noeviction", or give the store a Redis of its own.`
}

/** What a crash of the machine may cost; a server that writes no log, or does not say how, counts as memory. */
function durabilityOf(appendfsync: string | undefined): Durability {
  if (appendfsync === 'always') return { class: 'durable' }
  if (appendfsync === 'everysec') return { class: 'durable', mayLoseMs: 1000 }
  return { class: 'process' }
}
