import { fileURLToPath } from 'node:url'
import type { Kind } from './kinds.js'
import { type Finished, run, which } from './shell.js'

const FILE = fileURLToPath(new URL('./compose.yaml', import.meta.url))
/** Images are fetched on the first time. */
const UP_MS = 600_000

/** Whether a docker engine runs here, and can compose. */
export function hasDocker(): boolean {
  if (which('docker') === undefined) return false
  return run('docker', ['info'], { timeoutMs: 10_000 }).ok && run('docker', ['compose', 'version']).ok
}

/** Starts the services of these kinds. */
export function composeUp(kinds: readonly Kind[]): Finished {
  return run('docker', ['compose', '-f', FILE, 'up', '-d', ...kinds], { timeoutMs: UP_MS })
}

/** Ends all services, and removes their containers. */
export function composeDown(): Finished {
  return run('docker', ['compose', '-f', FILE, 'down'], { timeoutMs: 60_000 })
}
