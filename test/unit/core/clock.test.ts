import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'

describe('the clock of the process', () => {
  it('FM-F8 notices an event loop that was busy for long, and forgets it once it has been read', async () => {
    const watch = systemClock.watchLoop?.()
    await new Promise((resolve) => setTimeout(resolve, 45))
    const until = performance.now() + 300
    while (performance.now() < until);
    // Its timer has to fire once before it knows.
    for (let turns = 0; turns < 5; turns += 1) await turn()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(watch?.read()).toBeGreaterThan(200)
    expect(watch?.read()).toBeLessThan(100)
    watch?.close()
  })
})
