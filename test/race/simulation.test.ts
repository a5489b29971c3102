import { describe, expect, it } from 'vitest'
import { simulate, type Variant } from './simulation/simulation.js'
import { realCore } from './support/mutants.js'

const SEEDS = process.env.DEEP === '1' ? 2000 : 200
const first = Number(process.env.SEED ?? 1)
const last = process.env.SEED === undefined ? SEEDS : first
const sound: Variant = { core: realCore }

describe('simulation', () => {
  it(`keeps its promises in ${SEEDS} seeds, each of them played twice alike`, async () => {
    const failed: string[] = []
    for (let seed = first; seed <= last; seed += 1) {
      const { violations, trace } = await simulate(seed, sound)
      if (violations.length > 0) failed.push(`SEED=${seed}: ${violations.slice(0, 5).join('; ')}`)
      const again = await simulate(seed, sound)
      if (trace.join('\n') !== again.trace.join('\n')) failed.push(`SEED=${seed}: the second run was another one`)
      if (process.env.SEED !== undefined) process.stdout.write(`${trace.join('\n')}\n`)
    }
    expect(failed.slice(0, 20).join('\n'), `${failed.length} of ${SEEDS}`).toEqual('')
  })
})
