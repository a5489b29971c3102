import { runStep, type Step, type StepResult, script } from './steps.js'

// Everything there is, as long as it takes: what a change must pass, and what would make that last too long. With
// `--figures` also what bench/README.md has figures of, which takes two hours more and wants the machine for itself. All
// steps are run, whatever the others say; brokers and stores that are missing are failures.

const NODES = ['22', '24']
const PROJECTS = ['unit', 'property', 'contract'].map((project) => `--project ${project}`).join(' ')

const steps: readonly Step[] = [
  script('check'),
  script('test:deep'),
  script('test:long'),
  { name: 'faults', command: 'npm run --silent test:chaos -- --ci' },
  // Every kind of fault once.
  ...['amqp --store redis', 'kafka --store postgres'].map((which) => ({
    name: `all faults: ${which}`,
    command: `npm run --silent test:chaos -- --transport ${which} --seconds 180 --rounds 1`,
  })),
  ...['express', 'fastify', 'fetch'].map((framework) => ({
    name: `demo on ${framework}`,
    command: 'npm run --silent demo -- --once',
    env: { FRAMEWORK: framework },
  })),
  ...NODES.map((version) => ({
    name: `Node ${version}`,
    command: `npx --yes -p node@${version} node node_modules/vitest/vitest.mjs run ${PROJECTS}`,
  })),
]

const figures: readonly Step[] = [
  ...['amqp', 'kafka', 'soak'].map((name) => ({
    name: `long faults: ${name}`,
    command: `npm run --silent test:chaos -- --long ${name}`,
  })),
  script('bench'),
  { name: 'bench: brokers', command: 'npm run --silent bench -- brokers' },
]

process.env['REQUIRE_BROKERS'] = '1'
const all = process.argv.includes('--figures') ? [...steps, ...figures] : steps
const results = all.map(runStep)
print(results)
if (!results.every(({ isPassed }) => isPassed)) process.exitCode = 1

function print(ended: readonly StepResult[]): void {
  console.log(`\nverify, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}\n`)
  console.log('| step | seconds | |\n|---|---:|---|')
  for (const { name, isPassed, seconds } of ended) {
    console.log(`| ${name} | ${seconds.toFixed(0)} | ${isPassed ? 'passed' : 'failed'} |`)
  }
}
