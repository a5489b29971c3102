import { endpointOf, KINDS, type Kind } from './kinds.js'
import { probe } from './probe.js'

/** Where a server is and how it was found, or why there is none. */
export type Found =
  | { readonly kind: Kind; readonly address: string; readonly how: string }
  | { readonly kind: Kind; readonly address?: undefined; readonly reason: string }

/** Looks for a server: where the environment says, else at its standard port. Starts nothing. */
export async function findServer(kind: Kind, env: NodeJS.ProcessEnv = process.env): Promise<Found> {
  const { variable, port, address } = KINDS[kind]
  const named = env[variable]
  if (named !== undefined && named !== '') {
    const reason = await whyNot(kind, named)
    // What the environment names is meant: another server in its place would be a surprise.
    return reason === undefined ? { kind, address: named, how: variable } : { kind, reason: `${variable}: ${reason}` }
  }
  const standard = address(`127.0.0.1:${port}`)
  const reason = await whyNot(kind, standard)
  return reason === undefined ? { kind, address: standard, how: `port ${port}` } : { kind, reason }
}

async function whyNot(kind: Kind, address: string): Promise<string | undefined> {
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
