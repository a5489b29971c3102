import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { durableServers } from './fixtures/meetings.js'
import { order, Scene, seen } from './fixtures/scene.js'

/** Much less than the wait that was asked for. */
const AT_ONCE_MS = 2000

for (const { name, missing, open } of await durableServers()) {
  describe.skipIf(missing !== undefined)(
    `a client that leaves, on ${name}${missing ? ` (skipped: ${missing})` : ''}`,
    () => {
      const scene = new Scene(open())
      afterEach(() => scene.close())

      it('FM-E1 is waited for no more, and its operation goes on: the other instance tells its result', async () => {
        await scene.startWorker()
        const [one, two] = [await scene.start(), await scene.start()]
        const before = one.gateway.counters.pending
        const client = new AbortController()
        const asked = order(one.origin, 'left', { signal: client.signal })
        const [request] = await scene.requestsOf('left')
        expect(one.gateway.counters.pending).toBe(before + 1)

        client.abort()
        await expect(asked).rejects.toThrow('abort')
        await until(() => one.gateway.counters.pending === before, AT_ONCE_MS)
        expect(one.gateway.counters).toMatchObject({ gone: 1, completed: 0, open: 1 })

        const path = `${two.origin}/operations/${request?.correlationId}`
        expect((await fetch(path)).status).toBe(202)
        if (request) await scene.answer(request)
        const told = await seen(await fetch(path, { headers: { prefer: 'wait=25' } }))
        expect(told).toMatchObject({ status: 201, body: { id: request?.correlationId, item: 'left' } })
        // Recorded, and not only heard by who waited just now.
        await until(() => one.gateway.counters.open === 0, 30_000)
        expect(await seen(await fetch(`${one.origin}/operations/${request?.correlationId}`))).toMatchObject({
          status: 201,
        })
        expect(scene.requests).toHaveLength(1)
      }, 120_000)
    },
  )
}
