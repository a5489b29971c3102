import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { Idle } from '../../../../src/transports/kafka/idle.js'

function setup() {
  const clock = createFakeClock()
  const warnings: string[] = []
  const warn = (text: string) => void warnings.push(text)
  const idle = new Idle({ clock, group: 'workers', topics: ['users.requests'], partitions: 1, warn })
  return { clock, warnings, idle }
}

describe('FM-B6 a member of a group for which there is no partition', () => {
  it('is told of when that lasts', async () => {
    const { clock, warnings, idle } = setup()
    idle.has(0)
    await clock.advance(29_000)
    idle.has(0)
    expect(warnings).toEqual([])
    await clock.advance(1000)
    expect(warnings).toEqual([expect.stringMatching(/workers has more members than users\.requests .*\(1\)/)])
    await clock.advance(100_000)
    expect(warnings.length).toBe(1)
  })

  it.each([
    ['it is given one', (idle: Idle) => idle.has(1)],
    ['it is closed', (idle: Idle) => idle.close()],
  ])('is not told of when %s', async (_, end) => {
    const { clock, warnings, idle } = setup()
    idle.has(0)
    end(idle)
    await clock.advance(100_000)
    expect([warnings, clock.pending]).toEqual([[], 0])
  })
})
