import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { Monitor } from '../../../../src/transports/kafka/monitor.js'

function setup() {
  const clock = createFakeClock()
  const state = { asked: 0, isAway: false }
  const told: string[] = []
  const ask = async () => {
    state.asked += 1
    if (state.isAway) throw new Error('away')
  }
  const monitor = new Monitor({ clock, everyMs: 1000, ask })
  const listen = () => monitor.add({ down: () => told.push('down'), up: () => told.push('up') })
  return { clock, state, told, monitor, listen }
}

describe('the monitor of the Kafka transport', () => {
  it('asks every second where nobody else does, and tells after two failures', async () => {
    const { clock, state, told, monitor, listen } = setup()
    listen()
    await clock.advance(5500)
    expect([state.asked, ...told]).toEqual([5])
    state.isAway = true
    await clock.advance(1000)
    expect(told).toEqual([])
    await clock.advance(3000)
    expect(told).toEqual(['down'])
    state.isAway = false
    await clock.advance(1000)
    expect(told).toEqual(['down', 'up'])
    monitor.close()
    expect(clock.pending).toBe(0)
  })

  it('leaves the questions to whoever asks every second, and hears the answers', async () => {
    const { clock, state, told, monitor, listen } = setup()
    listen()
    const failures: unknown[] = []
    const asking = async (times: number) => {
      for (let time = 0; time < times; time += 1) {
        await monitor.check().catch((error: unknown) => failures.push(error))
        // A round of a gateway takes a little time of its own.
        await clock.advance(1050)
      }
    }
    await asking(5)
    expect(state.asked).toBe(5)
    state.isAway = true
    await asking(2)
    expect([failures.length, ...told]).toEqual([2, 'down'])
    state.isAway = false
    await asking(1)
    expect([state.asked, ...told]).toEqual([8, 'down', 'up'])
    monitor.close()
  })

  it('goes on by itself when they stop', async () => {
    const { clock, state, monitor, listen } = setup()
    listen()
    await monitor.check()
    await clock.advance(2000)
    expect(state.asked).toBe(2)
    monitor.close()
  })

  it('asks once for all who ask at the same time, and for those too where nobody listens', async () => {
    const { state, monitor, clock } = setup()
    await Promise.all([monitor.check(), monitor.check()])
    expect([state.asked, clock.pending]).toEqual([1, 0])
  })
})
