import { afterAll, describe, expect, it } from 'vitest'
import { endpointOf, KIND_NAMES, type Kind } from '../../../scripts/brokers/kinds.js'
import { probe } from '../../../scripts/brokers/probe.js'
import { PROGRAMS } from '../../../scripts/brokers/programs.js'
import { createServer, type Server } from '../../support/servers/server.js'

const servers: Server[] = []
afterAll(() => Promise.all(servers.map((server) => server.close())), 60_000)

/** What each kind of server has to bear, in one test: a start takes some of them ten seconds. */
async function bear(kind: Kind): Promise<void> {
  const server = await createServer(kind)
  servers.push(server)
  const answer = () => probe(kind, endpointOf(kind, server.address), 2000)
  await server.start()
  expect(await answer(), 'started').toBeUndefined()

  server.pause()
  expect(await answer(), 'paused').toMatch(/no answer/)
  server.resume()
  expect(await answer(), 'resumed').toBeUndefined()

  const { pid, address } = server
  await server.kill()
  expect(await answer(), 'killed').toMatch(/ECONNREFUSED/)
  await server.start()
  expect(await answer(), 'started behind a kill').toBeUndefined()
  expect(server.pid).not.toBe(pid)
  expect(server.address, 'the same port as before').toBe(address)

  await server.stop()
  expect(server.pid).toBeUndefined()
  expect(await answer(), 'stopped').toMatch(/ECONNREFUSED/)
}

describe.concurrent('a server of our own answers, freezes, dies, comes back and stops', () => {
  for (const kind of KIND_NAMES) {
    const missing = PROGRAMS[kind].missing()
    it.skipIf(missing)(missing ? `${kind} (skipped: ${missing})` : kind, { timeout: 180_000 }, () => bear(kind))
  }
})
