import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { missing, startWorker, type WorkerProcess } from './worker-process.js'

const folder = fileURLToPath(new URL('../../../examples/spring-worker', import.meta.url))
const jar = join(folder, 'target/spring-worker.jar')

/** Builds `examples/spring-worker` when it has changed; gives why that is not possible. */
export function whyNoSpring(): string | undefined {
  if (existsSync(jar) && newest() < statSync(jar).mtimeMs) return undefined
  const { status, error, stdout } = spawnSync('mvn', ['-q', 'package'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 400_000,
  })
  if (status === 0) return undefined
  return missing(`examples/spring-worker cannot be built by mvn: ${error?.message ?? stdout.slice(-500)}`)
}

function newest(): number {
  const sources = readdirSync(join(folder, 'src'), { recursive: true }).map((name) => join(folder, 'src', String(name)))
  return Math.max(...[join(folder, 'pom.xml'), ...sources].map((path) => statSync(path).mtimeMs))
}

/** Runs the Spring worker. */
export function startSpring(env: Readonly<Record<string, string>>): Promise<WorkerProcess> {
  const args = ['-Xmx192m', '-XX:TieredStopAtLevel=1', '-jar', jar]
  return startWorker({ command: 'java', args, cwd: folder, env, ready: /worker ready/ })
}
