import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { type Outcome, simulate, type Variant } from './simulation/simulation.js'
import { lastWriteWins, lendsNothing } from './support/broken-stores.js'
import { loadMutant, realCore } from './support/mutants.js'
import { resultAtHand } from './support/result-at-hand.js'

const SEEDS = process.env.DEEP === '1' ? 2000 : 200
const VARIANT_SEEDS = 200

/** The package as it is. */
const sound: Variant = { core: realCore }

/** What holds for every seed: no promise is broken, and the same seed plays again in the same way. */
async function check(seed: number): Promise<Outcome> {
  const { violations, trace } = await simulate(seed, sound)
  const again = await simulate(seed, sound)
  const isRepeatable = trace.join('\n') === again.trace.join('\n')
  return { violations: isRepeatable ? violations : [...violations, 'the second run was another one'], trace }
}

function* seeds(): Generator<number> {
  // Single seeds, to see their traces: SEED=17 or SEED=17,42.
  if (process.env.SEED !== undefined) yield* process.env.SEED.split(',').map(Number)
  else for (let seed = 1; seed <= SEEDS; seed += 1) yield seed
}

describe('simulation: gateways that crash, a store and a broker that fail, clients that insist', () => {
  it('keeps every promise in every seed, and plays each seed twice alike', async () => {
    const failed: string[] = []
    for (const seed of seeds()) {
      const { violations, trace } = await check(seed)
      if (violations.length > 0) failed.push(`SEED=${seed}: ${violations.slice(0, 5).join('; ')}`)
      if (process.env.SEED !== undefined) process.stdout.write(`${trace.join('\n')}\n`)
    }
    expect(failed.slice(0, 20), `${failed.length} seeds have failed`).toEqual([])
  })

  it('keeps them in the seeds that have failed before', async () => {
    const file = new URL('./fixtures/seeds.json', import.meta.url)
    const { seeds } = JSON.parse(await readFile(file, 'utf8')) as { seeds: { seed: number; found: string }[] }
    for (const { seed, found } of seeds) {
      const { violations } = await check(seed)
      expect(violations, `SEED=${seed}, which has found: ${found}`).toEqual([])
    }
  })
})

const broken: Record<string, () => Promise<Variant>> = {
  'no shared reading of the results': async () => ({ core: realCore, noRecorder: true }),
  'a store in which the last write wins': async () => ({ core: realCore, breakStore: lastWriteWins }),
  'no relay of what has not been published': async () => ({ core: realCore, breakStore: lendsNothing }),
  'an answer that is the result at hand, not the verdict': async () => ({
    core: await loadMutant([resultAtHand]),
  }),
}

describe('simulation: what each part of the design is for', () => {
  it.each(Object.entries(broken))('finds %s', async (name, makeVariant) => {
    const variant = await makeVariant()
    for (let seed = 1; seed <= VARIANT_SEEDS; seed += 1) {
      const { violations } = await simulate(seed, variant)
      if (violations.length === 0) continue
      process.stdout.write(`${name}: found by SEED=${seed} (${violations[0]})\n`)
      return
    }
    expect.unreachable(`${VARIANT_SEEDS} seeds have not found it`)
  })
})
