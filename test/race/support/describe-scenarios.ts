import { afterAll, describe, expect, it } from 'vitest'
import { checkScenario, findMutant, MUTANT_RUNS, type Scenario } from './scenario.js'

/** Tests that the package keeps what the scenarios ask for, and that each scenario finds its mutants. */
export function describeScenarios(scenarios: readonly Scenario[]): void {
  const caught: string[] = []

  describe.each(scenarios.map((scenario) => [scenario.title, scenario] as const))('%s', (title, scenario) => {
    it('holds in every interleaving', () => checkScenario(scenario))

    it.each(scenario.mutants.map((mutant) => [mutant.name, mutant] as const))(
      'and is broken by: %s',
      async (name, mutant) => {
        const runs = await findMutant(scenario, mutant)
        expect(runs, `no interleaving out of ${MUTANT_RUNS} has found this mutant`).toBeDefined()
        caught.push(`${title.split(' ', 1)} ${name}: found after ${runs}`)
      },
    )
  })

  afterAll(() => void process.stdout.write(`${caught.join('\n')}\n`))
}
