import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'

describe('the clock of the process', () => {
  it('FM-F8 notices an event loop that was busy for long, and forgets it once it has been read', async () => {
    const watch = systemClock.watchLoop?.()
    // Its timer has to fire once in between to know.
    for (let turns = 0; turns < 3; turns += 1) {
      const until = performance.now() + 250
      while (performance.now() < until);
      await new Promise((resolve) => setTimeout(resolve, 1))
      await turn()
    }
    expect(watch?.read()).toBeGreaterThan(200)
    expect(watch?.read()).toBeLessThan(200)
    watch?.close()
  })
})
