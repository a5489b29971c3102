import { afterAll, describe, expect, it } from 'vitest'
import { correlation } from './scenarios/correlation.js'
import { edge } from './scenarios/edge.js'
import { endings } from './scenarios/endings.js'
import { publishing } from './scenarios/publishing.js'
import { checkScenario, findMutant, MUTANT_RUNS } from './support/scenario.js'

const caught: string[] = []

const scenarios = [...correlation, ...publishing, ...endings, ...edge]

describe.each(scenarios.map((scenario) => [scenario.title, scenario] as const))('%s', (title, scenario) => {
  it('holds in every interleaving', () => checkScenario(scenario))

  it.each(scenario.mutants.map((mutant) => [mutant.name, mutant] as const))(
    'and is broken by: %s',
    async (name, mutant) => {
      const runs = await findMutant(scenario, mutant)
      expect(runs, `no interleaving out of ${MUTANT_RUNS} has found this mutant`).toBeDefined()
      caught.push(`${title.slice(0, 6)} ${name}: found after ${runs}`)
    },
  )
})

afterAll(() => void process.stdout.write(`${caught.join('\n')}\n`))
