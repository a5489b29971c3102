import { type HttpReply, memoryStore } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { openService } from './support.js'

type Cause = 'timer' | 'result' | 'leave' | 'shutdown'

const WAIT_MS = 1000

/** What the client gets, if this comes first; nobody reads what becomes of one that has left. */
const STATUS: Record<Cause, number> = { timer: 202, result: 201, leave: 500, shutdown: 202 }

function ordersOf(causes: readonly Cause[]): Cause[][] {
  if (causes.length === 0) return [[]]
  return causes.flatMap((first) =>
    ordersOf(causes.filter((other) => other !== first)).map((others) => [first, ...others]),
  )
}

const ORDERS = ordersOf(['timer', 'result', 'leave', 'shutdown']).map((order) => [order.join(', '), order] as const)

/** A request that waits, all that can end its wait, and all that came of it. */
async function openWaiting() {
  const clock = createFakeClock()
  const service = await openService({ clock, store: memoryStore({ clock }), options: { waitMs: WAIT_MS } })
  const replies: HttpReply[] = []
  const listeners = new Set<() => void>()
  const onGone = (listener: () => void) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }
  void service.post({}, { onGone }).then((reply) => replies.push(reply))
  await clock.flush()
  const causes: Record<Cause, () => Promise<unknown>> = {
    timer: () => clock.advance(WAIT_MS + 20),
    result: () => service.answer('Made'),
    leave: async () => {
      for (const listener of [...listeners]) listener()
    },
    shutdown: async () => void service.gateway.close(),
  }
  return { ...service, replies, listeners, causes }
}

/** Checks that there was one answer, that it was counted as such, and that nothing waits for another one. */
function checkOne({ replies, listeners, gateway, clock, errors }: Awaited<ReturnType<typeof openWaiting>>) {
  expect(replies).toHaveLength(1)
  const status = replies[0]?.status
  const { gone, deferred, pending } = gateway.counters
  expect({ gone, deferred, pending, listening: listeners.size, timers: clock.pending, errors }).toEqual({
    ...{ gone: status === 500 ? 1 : 0, deferred: status === 202 ? 1 : 0 },
    ...{ pending: 0, listening: 0, timers: 0, errors: [] },
  })
  return status
}

describe('F21 timer, result, client that leaves, and shutdown', () => {
  it.each(ORDERS)('F21 one after the other, the first answers: %s', async (_, order) => {
    const world = await openWaiting()
    expect([world.replies, world.listeners.size, world.gateway.counters.pending]).toEqual([[], 1, 1])
    for (const cause of order) {
      await world.causes[cause]()
      await world.clock.flush()
    }
    await world.gateway.close()
    expect(checkOne(world)).toBe(STATUS[order[0] as Cause])
  })

  // So many turns of the microtask queue lie between one and the next.
  it.each([0, 1, 2, 3, 5, 8, 13])('F21 at once, in all orders, %d turns apart, one answers', async (turns) => {
    for (const [, order] of ORDERS) {
      const world = await openWaiting()
      const under: Promise<unknown>[] = []
      for (const cause of order) {
        under.push(world.causes[cause]())
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      }
      await Promise.all(under)
      await world.gateway.close()
      await world.clock.flush()
      expect(Object.values(STATUS)).toContain(checkOne(world))
    }
  })
})
