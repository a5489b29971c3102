import { afterEach, describe, expect, it, vi } from 'vitest'
import { endpointOf } from '../../../scripts/brokers/kinds.js'
import { probe } from '../../../scripts/brokers/probe.js'
import { PROGRAMS } from '../../../scripts/brokers/programs.js'
import { Desk } from '../../support/servers/desk.js'
import { whyNoProcessTable } from '../../support/servers/process-table.mjs'
import { serverFor } from '../../support/servers/server-for.js'

const missing = PROGRAMS.redis.missing() ?? whyNoProcessTable()
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`)

afterEach(() => vi.unstubAllEnvs())

describe('a desk where no server is found', () => {
  const openDesk = async () => {
    vi.stubEnv('REDIS_URL', '')
    const desk = new Desk(async (kind) => ({ kind, reason: 'nobody listens' }))
    return { desk, port: await desk.open() }
  }

  it.skipIf(missing)(
    missing ? `starts one (skipped: ${missing})` : 'starts one for the first to ask, gives it to all, and ends it',
    { timeout: 60_000 },
    async () => {
      const { desk, port } = await openDesk()
      const [first, second] = await Promise.all([serverFor('redis', port), serverFor('redis', port)])
      expect(first).toMatchObject({ address: expect.any(String), how: 'started for the tests' })
      expect(second).toEqual(first)
      const endpoint = endpointOf('redis', first.address ?? '')
      expect(await probe('redis', endpoint, 10_000)).toBeUndefined()
      await desk.close()
      expect(await probe('redis', endpoint, 10_000)).toMatch(/ECONNREFUSED/)
    },
  )

  it('starts none in the place of one that the environment names, which is a failure where all are required', async () => {
    const { desk, port } = await openDesk()
    vi.stubEnv('REDIS_URL', 'redis://127.0.0.1:1')
    vi.stubEnv('REQUIRE_BROKERS', '')
    const reason = 'nobody listens; REDIS_URL names it, so none is started'
    expect(await serverFor('redis', port)).toEqual({ kind: 'redis', reason })
    vi.stubEnv('REQUIRE_BROKERS', '1')
    await expect(serverFor('redis', port)).rejects.toThrow(`there is no redis server: ${reason}`)
    await desk.close()
  })
})
