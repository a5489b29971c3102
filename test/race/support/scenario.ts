import fc from 'fast-check'
import type { Store } from '../../../src/index.js'
import { type Core, loadMutant, type Patch, realCore } from './mutants.js'
import { Violation, World } from './world.js'

/** A fault that the scenario must find: in the package's own source, or in a store beneath it. */
export interface Mutant {
  readonly name: string
  readonly patches?: readonly Patch[]
  /** `pause` takes as long as a round trip. */
  readonly breakStore?: (store: Store, pause: () => Promise<void>) => Store
}

/** A race, what must hold however it goes, and what a gateway would do that does not see to it. */
export interface Scenario {
  /** Begins with the id of the failure mode. */
  readonly title: string
  run(world: World): Promise<void>
  readonly mutants: readonly Mutant[]
}

/** How many interleavings a scenario is tried with. */
const RUNS = process.env.DEEP === '1' ? 20_000 : 2000
/** How many interleavings may pass before a mutant is found: mostly under a hundred do, but chance must not decide. */
export const MUTANT_RUNS = 20_000

interface Variant {
  readonly core: Core
  readonly breakStore?: Mutant['breakStore']
}

function propertyOf(scenario: Scenario, variant: Variant) {
  return fc.asyncProperty(fc.scheduler(), fc.boolean(), async (scheduler, coin) => {
    const world = new World({ scheduler, coin, core: variant.core, breakStore: variant.breakStore })
    try {
      await scenario.run(world)
      await world.finish()
    } catch (error) {
      throw world.mishap ?? error
    }
    if (world.mishap !== undefined) throw world.mishap
  })
}

/** Tries the scenario on the package as it is; rejects with the interleaving that breaks it, and its seed. */
export async function checkScenario(scenario: Scenario): Promise<void> {
  const seed = process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) }
  await fc.assert(propertyOf(scenario, { core: realCore }), { numRuns: RUNS, endOnFailure: true, ...seed })
}

/** Gives after how many interleavings the scenario finds the mutant; undefined when it does not. */
export async function findMutant(scenario: Scenario, mutant: Mutant): Promise<number | undefined> {
  const core = mutant.patches === undefined ? realCore : await loadMutant(mutant.patches)
  const property = propertyOf(scenario, { core, breakStore: mutant.breakStore })
  const found = await fc.check(property, { numRuns: MUTANT_RUNS, endOnFailure: true })
  if (!found.failed) return undefined
  // A mutant that falls over has not been found out.
  if (!(found.errorInstance instanceof Violation)) throw found.errorInstance
  return found.numRuns
}
