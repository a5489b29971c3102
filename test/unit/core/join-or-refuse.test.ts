import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { directTransport, openWorld, quietStore } from './support.js'

const OPTIONS = { idempotencyKey: 'k', waitMs: 0 }

/** A gateway whose broker is lost after its first request, with a store that answers `find` after so long. */
async function loseBroker(findMs: number) {
  const clock = createFakeClock()
  const slow = quietStore(clock)
  const { find } = slow
  const store = Object.assign(slow, {
    find: async (key: string) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, findMs))
      return find(key)
    },
  })
  const transport = directTransport()
  const world = await openWorld({ clock, transport, store })
  const first = await world.ask.request({ n: 1 }, OPTIONS)
  transport.listener?.down(new Error('The line was cut.'))
  return { ...world, first }
}

describe('a retry while the broker is known to be down', () => {
  it('joins the operation that its key has', async () => {
    const { ask, clock, first, gateway } = await loseBroker(99)
    const retry = ask.request({ n: 1 }, OPTIONS)
    await clock.advance(99)
    expect(await retry).toMatchObject({ kind: 'accepted', operation: { id: first.operation.id } })
    await gateway.close({ drainMs: 0 })
  })

  it('is refused after 100 ms when the store does not say so soon what its key has', async () => {
    const { ask, clock, gateway } = await loseBroker(101)
    const retry = ask.request({ n: 1 }, OPTIONS).then(
      () => 'joined',
      ({ code, details }) => [code, details.outcome],
    )
    await clock.advance(100)
    expect(await Promise.race([retry, Promise.resolve('still waiting')])).toEqual([
      'ERR_TRANSPORT_UNAVAILABLE',
      'not-accepted',
    ])
    await gateway.close({ drainMs: 0 })
  })
})
