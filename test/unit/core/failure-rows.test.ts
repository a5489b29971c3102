import { EventEmitter as NodeEmitter } from 'node:events'
import { EventEmitter } from 'eventemitter3'
import { memoryStore } from 'respond-async'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { openWorld } from './support.js'

afterEach(() => void vi.restoreAllMocks())

describe('a gateway under load', () => {
  it('FM-B9 has no more unconfirmed publishes than open operations, and refuses what comes beyond', async () => {
    let publishes = 0
    const transportFaults = (call: string) => {
      if (call !== 'publish') return 'ok' as const
      publishes += 1
      return 'hang' as const
    }
    const { ask, clock, gateway } = await openWorld({ transportFaults, options: { maxOpen: 3 } })
    const calls = Array.from({ length: 10 }, (_, n) =>
      ask.request({ n }).then(
        ({ kind }) => kind,
        ({ code }) => code,
      ),
    )
    await clock.flush()
    expect([publishes, gateway.counters.open]).toEqual([3, 3])
    expect(await Promise.all(calls.slice(3))).toEqual(Array(7).fill('ERR_OVERLOADED'))
  })

  it('FM-F4 listens to no emitter for a request that waits', async () => {
    const { ask, gateway, clock } = await openWorld()
    const added = [vi.spyOn(EventEmitter.prototype, 'on'), vi.spyOn(NodeEmitter.prototype, 'on')]
    const once = [vi.spyOn(EventEmitter.prototype, 'once'), vi.spyOn(NodeEmitter.prototype, 'once')]
    const replies = Array.from({ length: 100 }, (_, n) => ask.request({ n }))
    await clock.flush()
    expect(gateway.counters.pending).toBe(100)
    for (const spy of [...added, ...once]) expect(spy).not.toHaveBeenCalled()
    await clock.advance(10_000)
    await Promise.all(replies)
  })
})

it('FM-H5 a result that is replayed ends nothing: neither its own operation again, nor a later one', async () => {
  const clock = createFakeClock()
  const store = memoryStore({ clock })
  const options = { retentionMs: 60_000 }
  const { ask, requests, answer, gateway, transport } = await openWorld({ clock, store, options })
  const idempotencyKey = 'one'
  const first = ask.request({ n: 1 }, { idempotencyKey })
  await clock.flush()
  const result = await answer(requests[0])
  const { operation } = await first
  const replay = async () => {
    await transport.publish(result, { channel: 'results' })
    await clock.flush()
  }
  await replay()
  expect(await gateway.operations.get(operation.id)).toEqual(operation)
  await clock.advance(61_000)
  // The same key is a new request by then, and has an id of its own.
  const second = ask.request({ n: 1 }, { idempotencyKey })
  await clock.flush()
  await replay()
  expect(requests[1]?.id).not.toBe(requests[0]?.id)
  expect(gateway.counters.open).toBe(1)
  await answer(requests[1])
  expect((await second).kind).toBe('completed')
})
