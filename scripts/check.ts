import { performance } from 'node:perf_hooks'
import { runStep, script } from './steps.js'

// Every gate in the order in which a fault is cheapest to find; the first that fails ends the run.
const steps = ['lint', 'typecheck', 'build', 'publint', 'attw', 'knip', 'size', 'test:coverage']

const started = performance.now()
for (const step of steps) if (!runStep(script(step)).isPassed) process.exit(1)
console.log(`\ncheck passed in ${((performance.now() - started) / 1000).toFixed(1)} s`)
