import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { durableServers } from './fixtures/meetings.js'
import { order, Scene, seen } from './fixtures/scene.js'

/** A member of a group that was killed is missed after its session; then the others share what it read. */
const TAKEN_OVER_MS = 45_000

for (const { name, missing, open } of await durableServers()) {
  describe.skipIf(missing !== undefined)(
    `an owner that leaves in mid flight, on ${name}${missing ? ` (skipped: ${missing})` : ''}`,
    () => {
      const scene = new Scene(open())
      afterEach(() => scene.close())

      it('FM-E10 FM-C1 told to end, it answers 202 to who waits, and the other instance has the result', async () => {
        await scene.startWorker()
        const survivor = await scene.start()
        const owner = await scene.startProcess()
        const asked = order(owner.origin, 'parked')
        const [request] = await scene.requestsOf('parked')

        owner.child.signal('SIGTERM')
        const answer = await asked
        expect([answer.status, answer.headers.get('location')]).toEqual([202, `/operations/${request?.correlationId}`])
        expect(await owner.child.ended).toBe(0)

        if (request) await scene.answer(request)
        const told = await fetch(survivor.origin + answer.headers.get('location'), { headers: { prefer: 'wait=25' } })
        expect(await seen(told)).toMatchObject({ status: 201, body: { id: request?.correlationId, item: 'parked' } })
        expect(scene.requests).toHaveLength(1)
      }, 180_000)

      it('FM-C1 killed, its results are recorded by the other, and who asks there again has the answer', async () => {
        await scene.startWorker()
        const survivor = await scene.start()
        const owner = await scene.startProcess()
        const headers = { 'idempotency-key': '"cut off"' }
        const cutOff = order(owner.origin, 'cut off', { headers })
        const cut = expect(cutOff).rejects.toThrow()
        const promised = await order(owner.origin, 'promised', { headers: { prefer: 'respond-async' } })
        expect(promised.status).toBe(202)
        const requests = [...(await scene.requestsOf('cut off')), ...(await scene.requestsOf('promised'))]

        owner.child.signal('SIGKILL')
        expect(await owner.child.ended).toBe('SIGKILL')
        await cut
        const again = order(survivor.origin, 'cut off', { headers })
        await until(() => survivor.gateway.counters.joined === 1, 30_000)

        for (const request of requests) await scene.answer(request)
        const [first] = requests
        expect(await seen(await again)).toMatchObject({
          status: 201,
          body: { id: first?.correlationId, item: 'cut off' },
        })
        // Nobody waits for this one anywhere.
        const path = `${survivor.origin}${promised.headers.get('location')}`
        const isRecorded = async () => (await seen(await fetch(path))).status === 201
        await until(isRecorded, TAKEN_OVER_MS)
        expect(scene.requests).toHaveLength(2)
      }, 180_000)
    },
  )
}
