import { spawnSync } from 'node:child_process'
import { performance } from 'node:perf_hooks'

// Every gate in the order in which a fault is cheapest to find; the first that fails ends the run.
const steps = ['lint', 'typecheck', 'build', 'publint', 'attw', 'knip', 'size', 'test:coverage']

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1)
const started = performance.now()

for (const step of steps) {
  const began = performance.now()
  console.log(`\n> ${step}`)
  // One string for the shell: on Windows npm is a command file, which cannot be started without one.
  const { status } = spawnSync(`npm run --silent ${step}`, { stdio: 'inherit', shell: true })
  if (status !== 0) {
    console.error(`${step} failed after ${seconds(began)} s`)
    process.exit(1)
  }
  console.log(`${step} passed in ${seconds(began)} s`)
}
console.log(`\ncheck passed in ${seconds(started)} s`)
