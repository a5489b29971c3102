import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { KINDS, type Kind } from '../../../scripts/brokers/kinds.js'
import { freePort } from '../../../scripts/brokers/ports.js'
import { probe } from '../../../scripts/brokers/probe.js'
import type { Launch, Prepared } from '../../../scripts/brokers/program.js'
import { PROGRAMS } from '../../../scripts/brokers/programs.js'
import { guardProcess, temporaryFolder } from './guard.js'
import { processTree, whyNoProcessTable } from './process-table.mjs'
import { signalOne, signalTree } from './signals.js'
import { until } from './until.js'

const STOP_MS = 20_000
/** A boot right behind a kill may meet what the old process has left, and fail: then once more. */
const START_TRIES = 3

interface Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<unknown>
}

/** A server of one's own, on a free port, in a temporary folder; its data outlive its processes. */
export class Server {
  readonly kind: Kind
  readonly port: number
  /** How the client libraries are told where it is. */
  readonly address: string
  readonly prepared: Prepared
  readonly #folder: ReturnType<typeof temporaryFolder>
  #companion: Running | undefined
  #running: Running | undefined
  #paused: readonly number[] = []

  constructor(prepared: Prepared, folder: ReturnType<typeof temporaryFolder>) {
    this.prepared = prepared
    this.kind = prepared.kind
    this.port = prepared.port
    this.address = KINDS[prepared.kind].address(`127.0.0.1:${prepared.port}`)
    this.#folder = folder
  }

  /** The process id of the server; undefined while it does not run. */
  get pid(): number | undefined {
    return this.#running?.pid
  }

  /** Resolves when it answers clients. */
  async start(): Promise<void> {
    if (this.#running) throw new Error(`The ${this.kind} server runs already.`)
    this.#companion ??= await this.#startCompanion()
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#boot()
      } catch (error) {
        await this.kill()
        if (tries === START_TRIES) throw error
        await sleep(1000)
      }
    }
  }

  /** Sends SIGKILL to all its processes, and waits until they are gone. */
  async kill(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    const pids = processTree(running.pid)
    for (const pid of pids) signalOne(pid, 'SIGKILL')
    await this.#goneAll(running, pids)
  }

  /** Asks it to end in good order; it is killed when it takes too long. */
  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    const pids = processTree(running.pid)
    running.child.kill(this.prepared.stopSignal)
    const inTime = await Promise.race([running.ended.then(() => true), sleep(STOP_MS, false, { ref: false })])
    if (inTime) await this.#goneAll(running, pids)
    else await this.kill()
  }

  /** Freezes all its processes: connections stay, and nothing answers. */
  pause(): void {
    if (this.#running === undefined) throw new Error(`The ${this.kind} server does not run.`)
    this.#paused = processTree(this.#running.pid)
    for (const pid of this.#paused) signalOne(pid, 'SIGSTOP')
  }

  /** Lets frozen processes go on. */
  resume(): void {
    for (const pid of this.#paused) signalOne(pid, 'SIGCONT')
    this.#paused = []
  }

  /** Kills it, and removes its folder. */
  async close(): Promise<void> {
    await this.kill()
    const companion = this.#companion
    this.#companion = undefined
    if (companion) {
      signalTree(companion.pid, 'SIGKILL')
      await companion.ended
    }
    this.#folder.remove()
  }

  /** The end of what it has printed. */
  output(): string {
    return readFileSync(join(this.#folder.path, 'output.log'), 'utf8').slice(-4000)
  }

  async #boot(): Promise<void> {
    const running = this.#spawn(this.prepared.server)
    this.#running = running
    const look = async () => {
      if (running.child.exitCode !== null || running.child.signalCode !== null) {
        throw new Error(`The ${this.kind} server has ended while it started: ${this.output()}`)
      }
      return (await probe(this.kind, { host: '127.0.0.1', port: this.port })) === undefined
    }
    await until(look, { what: `an answer of the ${this.kind} server`, timeoutMs: this.prepared.startMs, everyMs: 100 })
  }

  async #startCompanion(): Promise<Running | undefined> {
    const { companion } = this.prepared
    if (companion === undefined) return undefined
    const running = this.#spawn(companion)
    await until(() => accepts(companion.port), { what: companion.command, timeoutMs: 5000 })
    return running
  }

  #spawn({ command, args, env, user }: Launch): Running {
    const log = openSync(join(this.#folder.path, 'output.log'), 'a')
    // In a group of its own: Ctrl-C is for the tests, which then end it.
    const options: SpawnOptions = { detached: true, cwd: this.#folder.path, ...user, env: { ...process.env, ...env } }
    const child = spawn(command, args, { ...options, stdio: ['ignore', log, log] })
    closeSync(log)
    const { pid } = child
    if (pid === undefined) throw new Error(`${command} cannot be started.`)
    const done = guardProcess(pid)
    const ended = once(child, 'exit').then(done)
    return { child, pid, ended }
  }

  /** Also when a parent is gone before its children: their ports and files are free only then. */
  async #goneAll(running: Running, pids: readonly number[]): Promise<void> {
    this.#paused = []
    await running.ended
    const none = () => pids.every((pid) => !signalOne(pid, 0))
    await until(none, { what: `the end of the ${this.kind} server`, timeoutMs: STOP_MS })
    if (this.#running === running) this.#running = undefined
  }
}

/** Makes a server of one's own; it does not run yet. Throws when this machine has no program for it. */
export async function createServer(kind: Kind, publicPort?: number): Promise<Server> {
  const program = PROGRAMS[kind]
  const missing = program.missing() ?? whyNoProcessTable()
  if (missing !== undefined) throw new Error(`There can be no ${kind} server of our own: ${missing}.`)
  const folder = temporaryFolder(kind)
  try {
    return new Server(
      await program.prepare({ folder: folder.path, port: await freePort(), publicPort, freePort }),
      folder,
    )
  } catch (error) {
    folder.remove()
    throw error
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const finish = (found: boolean) => {
      socket.destroy()
      resolve(found)
    }
    socket.on('connect', () => finish(true))
    socket.on('error', () => finish(false))
  })
}
