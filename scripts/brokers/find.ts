import { endpointOf, KINDS, type Kind } from './kinds.js'
import { whyNoLogin } from './login.js'
import { probe } from './probe.js'

/** Where a server is and how it was found, or why there is none. */
export type Found = { readonly kind: Kind; readonly address: string; readonly how: string } | NotFound

interface NotFound {
  readonly kind: Kind
  readonly address?: undefined
  readonly reason: string
  /** Somebody else's server is at the standard port, and does not let us in. */
  readonly isTaken?: true
}

/** Whether the environment says which server is meant: another in its place would be a surprise. */
export function isNamed(kind: Kind, env: NodeJS.ProcessEnv = process.env): boolean {
  return (env[KINDS[kind].variable] ?? '') !== ''
}

/** Looks for a server that lets us in: where the environment says, else at its standard port. Starts nothing. */
export async function findServer(kind: Kind, env: NodeJS.ProcessEnv = process.env): Promise<Found> {
  const { variable, port, address: standard } = KINDS[kind]
  const named = isNamed(kind, env)
  const address = named ? (env[variable] ?? '') : standard(`127.0.0.1:${port}`)
  const prefix = named ? `${variable}: ` : ''
  const away = await whyAway(kind, address)
  if (away !== undefined) {
    const reason = `${prefix}${away}`
    // Somebody has the port, whoever it is.
    return named || /ECONNREFUSED/.test(away) ? { kind, reason } : { kind, reason, isTaken: true }
  }
  const refusal = await whyNoLogin(kind, address)
  if (refusal === undefined) return { kind, address, how: named ? variable : `port ${port}` }
  const { host, port: at } = endpointOf(kind, address)
  const reason = `${prefix}${host}:${at} is there, but refuses the login: ${refusal}`
  return named ? { kind, reason } : { kind, reason, isTaken: true }
}

async function whyAway(kind: Kind, address: string): Promise<string | undefined> {
  try {
    return await probe(kind, endpointOf(kind, address))
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Lines of a table. */
export function tableOf(rows: readonly (readonly [what: string, where: string, how: string])[]): string[] {
  const width = (column: 0 | 1) => Math.max(...rows.map((row) => row[column].length))
  const [first, second] = [width(0), width(1)]
  return rows.map(([what, where, how]) => `${what.padEnd(first)}  ${where.padEnd(second)}  ${how}`.trimEnd())
}

/** The address without its password, to be shown. */
export function shownAddress(address: string): string {
  return address.replace(/(\/\/[^:/@]*):[^@]*@/, '$1:***@')
}
