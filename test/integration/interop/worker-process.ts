import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const READY_MS = 120_000

/** A worker of another stack, which runs until it is stopped. */
export interface WorkerProcess {
  /** What it has printed so far. */
  readonly output: string
  stop(): Promise<void>
}

/** How a worker is started, and what it prints when it is ready. */
export interface WorkerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly ready: RegExp
}

/** Starts a worker; rejects with what it has printed when it ends before it is ready. */
export async function startWorker({ command, args, cwd, env, ready }: WorkerCommand): Promise<WorkerProcess> {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let see = (): void => {}
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      see()
    })
  }
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`The worker ${why}: ${output.slice(-4000)}`))
    const timer = setTimeout(() => fail('is not ready in time'), READY_MS)
    see = () => {
      if (!ready.test(output)) return
      clearTimeout(timer)
      resolve()
    }
    child.once('exit', (code) => fail(`ended with ${code}`))
    child.once('error', (error) => fail(error.message))
  }).catch(async (error: unknown) => {
    await end(child)
    throw error
  })
  return {
    get output() {
      return output
    },
    stop: () => end(child),
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exited
  clearTimeout(timer)
}

/** What is missing for a test: printed, and with REQUIRE_BROKERS=1 an error. */
export function missing(reason: string | undefined): string | undefined {
  if (reason === undefined) return undefined
  if (process.env['REQUIRE_BROKERS'] === '1') throw new Error(reason)
  process.stderr.write(`skipped: ${reason}\n`)
  return reason
}
