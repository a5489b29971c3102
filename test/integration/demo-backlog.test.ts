import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Child, startChild } from './child.js'

const PROGRAM = 'test/integration/fixtures/busy-demo.ts'
const CLIENTS = 1000
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6']
const LISTENING = '0A'

/** How many connections the kernel keeps for who listens at this port. */
function keptAt(port: number): number {
  const rows = TABLES.filter((table) => existsSync(table)).flatMap((table) => readFileSync(table, 'utf8').split('\n'))
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === LISTENING)
    .reduce((sum, [, , , , queues]) => sum + Number.parseInt(queues?.split(':')[1] ?? '0', 16), 0)
}

/** Why nobody can say how many connections wait, or are allowed to; undefined where that is known. */
function whyNot(): string | undefined {
  if (!existsSync('/proc/net/tcp')) return 'there is no /proc/net/tcp'
  const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))
  return most < CLIENTS ? `net.core.somaxconn is ${most}` : undefined
}

const missing = whyNot()
if (missing !== undefined) process.stderr.write(`connections that come at once: skipped, ${missing}\n`)

describe.skipIf(missing !== undefined)('a demo that is too busy to accept connections', () => {
  let child: Child | undefined
  const sockets: Socket[] = []
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    child?.signal('SIGKILL')
    await child?.ended
  })

  it.each(['express', 'fastify', 'fetch'])(
    'on %s has room for a thousand of them',
    async (FRAMEWORK) => {
      child = await startChild(PROGRAM, { env: { FRAMEWORK } })
      await child.prints(/listens at \d+\n/)
      const port = Number(/listens at (\d+)/.exec(child.output())?.[1])
      for (let n = 0; n < CLIENTS; n += 1) sockets.push(connect(port, '127.0.0.1').on('error', () => {}))
      await expect.poll(() => keptAt(port), { timeout: 10_000 }).toBe(CLIENTS)
    },
    60_000,
  )
})
