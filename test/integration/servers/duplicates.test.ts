import type { Transport } from 'respond-async'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { durableServers } from './fixtures/meetings.js'
import { order, Scene, seen } from './fixtures/scene.js'

const KEYS = 20

for (const { name, missing, open } of await durableServers()) {
  describe.skipIf(missing !== undefined)(
    `one key at two instances on ${name}${missing ? ` (skipped: ${missing})` : ''}`,
    () => {
      const scene = new Scene(open())
      afterEach(() => scene.close())

      /** What comes behind everything else: when it is there, nothing else is on its way. */
      async function last(origin: string): Promise<void> {
        const asked = order(origin, 'last')
        const [request] = await scene.requestsOf('last')
        if (request) await scene.answer(request)
        expect((await asked).status).toBe(201)
      }

      it('FM-D17 FM-E2 asked at both at the same moment, it is one operation and one event, and both get its answer', async () => {
        await scene.startWorker()
        const [one, two] = [await scene.start(), await scene.start()]
        const askBoth = async (n: number) => {
          const headers = { 'idempotency-key': `"key-${n}"` }
          const asked = [one, two].map(({ origin }) => order(origin, `item-${n}`, { headers }))
          const [request] = await scene.requestsOf(`item-${n}`)
          if (request) await scene.answer(request)
          return Promise.all((await Promise.all(asked)).map(seen))
        }
        const answers = await Promise.all(Array.from({ length: KEYS }, (_, n) => askBoth(n)))
        for (const [n, [first, second]] of answers.entries()) {
          expect(first).toMatchObject({ status: 201, body: { item: `item-${n}` } })
          expect(second).toEqual(first)
        }
        await last(one.origin)
        expect(scene.requests.length).toBe(KEYS + 1)
        expect(one.gateway.counters.created + two.gateway.counters.created).toBe(KEYS + 1)
        expect(one.gateway.counters.joined + two.gateway.counters.joined).toBe(KEYS)
      }, 120_000)

      it('FM-D17 FM-E2 asked at the second while the first has written it down, and not published: the second waits for the same event', async () => {
        await scene.startWorker()
        const held = holding(await scene.transport())
        const [one, two] = [await scene.start(held.transport), await scene.start()]
        const headers = { 'idempotency-key': '"held"' }
        const answers: string[] = []
        const ask = (which: string, origin: string) =>
          order(origin, 'held', { headers }).then((answer) => {
            answers.push(which)
            return seen(answer)
          })
        const first = ask('first', one.origin)
        await held.reached
        const second = ask('second', two.origin)
        await until(() => two.gateway.counters.joined === 1, 30_000)
        // Nothing has come so far: the second one has published nothing in the place of the first.
        await last(two.origin)
        expect([scene.requests.length, answers]).toEqual([1, []])
        held.release()
        const [request] = await scene.requestsOf('held')
        if (request) await scene.answer(request)
        const answer = await first
        expect(answer).toMatchObject({ status: 201, body: { item: 'held' } })
        expect(await second).toEqual(answer)
        expect(await scene.requestsOf('held')).toHaveLength(1)
        expect(two.gateway.counters.created).toBe(1)
      }, 120_000)
    },
  )
}

/** A transport whose first publish waits until it is let go. */
function holding(transport: Transport) {
  let reach = () => {}
  let release = () => {}
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const publish: Transport['publish'] = async (message, options) => {
    reach()
    await released
    return transport.publish(message, options)
  }
  const held = new Proxy(transport, {
    get(target, name) {
      const value: unknown = name === 'publish' ? publish : Reflect.get(target, name)
      return typeof value === 'function' && name !== 'publish' ? value.bind(target) : value
    },
  })
  return { transport: held, reached, release: () => release() }
}
