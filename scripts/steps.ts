import { spawnSync } from 'node:child_process'
import { performance } from 'node:perf_hooks'

/** A command line and what it is called; the environment adds to this process's own. */
export interface Step {
  readonly name: string
  readonly command: string
  readonly env?: Readonly<Record<string, string>>
}

/** A step that is a script of package.json. */
export function script(name: string): Step {
  return { name, command: `npm run --silent ${name}` }
}

/** How one step ended. */
export interface StepResult {
  readonly name: string
  readonly isPassed: boolean
  readonly seconds: number
}

/** Runs one step in the foreground, and prints its seconds. */
export function runStep({ name, command, env = {} }: Step): StepResult {
  const began = performance.now()
  console.log(`\n> ${name}`)
  // One string for the shell: on Windows npm is a command file, which cannot be started without one.
  const { status } = spawnSync(command, { stdio: 'inherit', shell: true, env: { ...process.env, ...env } })
  const seconds = (performance.now() - began) / 1000
  const isPassed = status === 0
  console.log(`${name} ${isPassed ? 'passed in' : 'failed after'} ${seconds.toFixed(1)} s`)
  return { name, isPassed, seconds }
}
