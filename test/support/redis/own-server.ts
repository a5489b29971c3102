import { Redis } from 'ioredis'
import { freePort } from '../../../scripts/brokers/ports.js'
import { PROGRAMS } from '../../../scripts/brokers/programs.js'
import { temporaryFolder } from '../servers/guard.js'
import { whyNoProcessTable } from '../servers/process-table.mjs'
import { Server } from '../servers/server.js'

/** Why there can be no server of our own; with REQUIRE_BROKERS=1 that is a failure. */
export function missingServer(): string | undefined {
  const why = PROGRAMS.redis.missing() ?? whyNoProcessTable()
  if (why === undefined) return undefined
  if (process.env.REQUIRE_BROKERS === '1') throw new Error(why)
  process.stderr.write(`skipped, ${why}\n`)
  return why
}

/** Starts a Redis of our own, with further settings on its command line. */
export async function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<Server> {
  const folder = temporaryFolder('redis')
  const prepared = await PROGRAMS.redis.prepare({ folder: folder.path, port: await freePort(), freePort })
  const more = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const launch = { ...prepared.server, args: [...prepared.server.args, ...more] }
  const server = new Server({ ...prepared, server: launch }, folder)
  await server.start()
  return server
}

/** Sends one command to a server of our own. */
export async function tell(url: string, ...[command = '', ...args]: readonly string[]): Promise<unknown> {
  const client = new Redis(url, { retryStrategy: () => null })
  try {
    return await client.call(command, args)
  } finally {
    client.disconnect()
  }
}
