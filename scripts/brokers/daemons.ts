import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { KINDS, type Kind } from './kinds.js'
import { freePort } from './ports.js'
import { probe } from './probe.js'
import { isStill, type KnownProcess, remember } from './processes.js'
import type { Launch } from './program.js'
import { PROGRAMS } from './programs.js'

const STOP_MS = 20_000

/** A server that was started here and outlives the command. */
interface Daemon {
  readonly kind: Kind
  readonly processes: readonly KnownProcess[]
  readonly stopSignal: NodeJS.Signals
}

/** For root not below its home, which the user under whom PostgreSQL runs cannot enter. */
function rootFolder(): string {
  const cache = process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache')
  return join(process.env['XDG_CACHE_HOME'] ?? cache, 'respond-async', 'servers')
}

function stateFile(): string {
  return join(rootFolder(), 'processes.json')
}

function readState(): readonly Daemon[] {
  return existsSync(stateFile()) ? (JSON.parse(readFileSync(stateFile(), 'utf8')) as Daemon[]) : []
}

function writeState(daemons: readonly Daemon[]): void {
  mkdirSync(rootFolder(), { recursive: true })
  writeFileSync(stateFile(), JSON.stringify(daemons))
}

/** Starts a server at its standard port, on data of its own that the next start throws away. Resolves when it answers. */
export async function startDaemon(kind: Kind): Promise<number> {
  const folder = join(rootFolder(), kind)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const { port } = KINDS[kind]
  const { companion, server, startMs, stopSignal } = await PROGRAMS[kind].prepare({ folder, port, freePort })
  const started = [companion, server].filter((launch) => launch !== undefined).map((launch) => detach(launch, folder))
  const pids = started.map(({ pid }) => pid).filter((pid) => pid !== undefined)
  writeState([
    ...readState().filter((daemon) => daemon.kind !== kind),
    { kind, processes: pids.map(remember), stopSignal },
  ])
  const start = performance.now()
  for (;;) {
    const reason = await probe(kind, { host: '127.0.0.1', port })
    if (reason === undefined) return pids.at(-1) ?? 0
    const hasEnded = started.at(-1)?.exitCode !== null
    if (hasEnded || performance.now() - start > startMs) {
      throw new Error(`${KINDS[kind].title} did not start (${reason}); its output is in ${join(folder, 'output.log')}`)
    }
    await sleep(200)
  }
}

function detach({ command, args, env, user }: Launch, folder: string): ChildProcess {
  const log = openSync(join(folder, 'output.log'), 'a')
  const given = { cwd: folder, detached: true, env: { ...process.env, ...env }, ...user }
  const child = spawn(command, args, { ...given, stdio: ['ignore', log, log] })
  closeSync(log)
  child.unref()
  return child
}

/** Ends every server that was started here. Gives what it ended. */
export async function stopDaemons(): Promise<readonly Kind[]> {
  const ended: Kind[] = []
  for (const { kind, processes, stopSignal } of readState()) {
    // The server first, then what runs beside it. The number of one that is gone may be another's by now.
    const running = processes.filter(isStill).reverse()
    for (const each of running) await end(each, stopSignal)
    if (running.length > 0) ended.push(kind)
  }
  writeState([])
  return ended
}

async function end(known: KnownProcess, signal: NodeJS.Signals): Promise<void> {
  send(known.pid, signal)
  for (const start = performance.now(); isStill(known); await sleep(50)) {
    if (performance.now() - start > STOP_MS) send(known.pid, 'SIGKILL')
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
