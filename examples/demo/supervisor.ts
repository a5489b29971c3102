import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Role } from './settings.js'

const RESTART_AFTER_MS = 1000
// Longer than any drain; what has not ended by then never will.
const KILL_AFTER_MS = 15_000

/** What a process says of itself: that it runs, or that no further start can help. */
export type Report = { readonly isReady: true } | { readonly mistake: string }

/** Processes that are kept running. */
export interface Supervised {
  /** Resolves to what is wrong when a process that has never been ready says that it cannot be started like this. */
  readonly refused: Promise<string>
  /** Lets all of them drain, and resolves when the last one has ended. */
  stop(): Promise<void>
}

/** How a process is started. */
export type Start = (role: Role) => ChildProcess

/**
 * Starts a process for each role, and starts it again a second after it has ended, in whatever way. Whoever is told by
 * `refused` that this is of no use stops them.
 */
export function supervise(roles: readonly Role[], start: Start = startSelf, restartMs = RESTART_AFTER_MS): Supervised {
  let isStopping = false
  const running = new Set<ChildProcess>()
  const timers = new Set<NodeJS.Timeout>()
  const onceReady = new Set<Role>()
  let refuse: (mistake: string) => void
  const refused = new Promise<string>((resolve) => {
    refuse = resolve
  })

  function hear(role: Role, report: Report): void {
    if ('isReady' in report) onceReady.add(role)
    else if (onceReady.has(role)) console.error(report.mistake)
    else refuse(report.mistake)
  }

  function run(role: Role): void {
    const child = start(role)
    running.add(child)
    const again = () => {
      if (!running.delete(child) || isStopping) return
      const timer = setTimeout(() => {
        timers.delete(timer)
        run(role)
      }, restartMs)
      timers.add(timer)
    }
    // One that could not even be started has no `exit`.
    child.once('exit', again).once('error', again)
    child.on('message', (report) => hear(role, report as Report))
  }

  async function end(child: ChildProcess): Promise<void> {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const kill = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
    await ended
    clearTimeout(kill)
  }

  for (const role of roles) run(role)
  return {
    refused,
    async stop() {
      isStopping = true
      for (const timer of timers) clearTimeout(timer)
      await Promise.all([...running].map(end))
    },
  }
}

/** This very program, told what to be. It hears of the end of this process by the channel between the two. */
function startSelf({ kind, index }: Role): ChildProcess {
  const args = [...process.execArgv, ...process.argv.slice(1)]
  const env = { ...process.env, DEMO_ROLE: `${kind} ${index}` }
  return spawn(process.execPath, args, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}
