import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { SelfProbe } from '../../../../src/transports/amqp/self-probe.js'

function setUp({ isSparing = false } = {}) {
  const clock = createFakeClock()
  const seen = { sent: 0, silences: 0 }
  const state = { isBlocked: false, comesBack: true, fails: false }
  const probe: SelfProbe = new SelfProbe({
    clock,
    isSparing,
    isBlocked: () => state.isBlocked,
    send: async () => {
      seen.sent += 1
      if (state.fails) throw new Error('It cannot be sent.')
      if (state.comesBack) probe.heard()
    },
    onSilence: () => {
      seen.silences += 1
    },
  })
  probe.start()
  return { clock, seen, state, probe }
}

describe('a probe of a reader', () => {
  it('is sent every ten seconds, whatever comes', async () => {
    const { clock, seen, probe } = setUp()
    const cancel = clock.setTimer(() => probe.heard(), 9000)
    await clock.advance(10_000)
    expect(seen).toEqual({ sent: 1, silences: 0 })
    await clock.advance(15_000)
    expect(seen).toEqual({ sent: 2, silences: 0 })
    cancel()
  })

  it('tells of silence once when nothing has come back for five seconds', async () => {
    const { clock, seen, state } = setUp()
    state.comesBack = false
    await clock.advance(14_999)
    expect(seen).toEqual({ sent: 1, silences: 0 })
    await clock.advance(60_000)
    expect(seen).toEqual({ sent: 1, silences: 1 })
  })

  it('that is sparing is not sent while something comes every ten seconds', async () => {
    const { clock, seen, probe } = setUp({ isSparing: true })
    for (let second = 0; second < 120; second += 9) {
      probe.heard()
      await clock.advance(9000)
    }
    expect(seen).toEqual({ sent: 0, silences: 0 })
  })

  it('that is sparing tells of silence within 25 seconds, and is rare in an idle time', async () => {
    const { clock, seen, state, probe } = setUp({ isSparing: true })
    await clock.advance(600_000)
    expect(seen.sent).toBeLessThanOrEqual(24)
    probe.heard()
    state.comesBack = false
    await clock.advance(25_000)
    expect(seen.silences).toBe(1)
  })

  it('is not sent to a broker that takes nothing, and proves nothing there', async () => {
    const { clock, seen, state } = setUp()
    state.comesBack = false
    await clock.advance(10_000)
    state.isBlocked = true
    await clock.advance(60_000)
    expect(seen).toEqual({ sent: 1, silences: 0 })
  })

  it('proves nothing when it could not be sent', async () => {
    const { clock, seen, state } = setUp()
    state.fails = true
    await clock.advance(60_000)
    expect(seen.silences).toBe(0)
    expect(seen.sent).toBeGreaterThan(2)
  })
})
