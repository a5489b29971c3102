import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { guardProcess } from '../support/servers/guard.js'
import { type ProcessConfig, toEnvironment } from './config.js'
import { type Entry, now } from './history.js'

const START_MS = 120_000
const programOf = (name: 'gateway' | 'worker') => fileURLToPath(new URL(`./${name}.ts`, import.meta.url))

/** One gateway or worker in a process of its own, which is killed, frozen and started again. */
export class Member {
  readonly role: 'gateway' | 'worker'
  readonly index: number
  readonly #config: ProcessConfig
  readonly #note: (entry: Entry) => void
  #child: ChildProcess | undefined

  constructor(role: 'gateway' | 'worker', config: ProcessConfig, note: (entry: Entry) => void) {
    this.role = role
    this.index = config.index
    this.#config = config
    this.#note = note
  }

  /** Where it listens. */
  get port(): number {
    return this.#config.port
  }

  get isUp(): boolean {
    return this.#child !== undefined
  }

  /** Resolves when it is ready. One that ends while it starts, as its broker is away, is started again. */
  async start(): Promise<void> {
    for (const start = now(); ; await sleep(1000)) {
      try {
        return await this.#startOnce()
      } catch (error) {
        if (now() - start > START_MS) throw error
      }
    }
  }

  async #startOnce(): Promise<void> {
    const env = { ...process.env, ...toEnvironment(this.#config) }
    const args = ['--expose-gc', '--import', 'tsx', programOf(this.role)]
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const done = guardProcess(child.pid ?? 0)
    void once(child, 'exit').then(() => {
      done()
      this.#ended(child)
    })
    await this.#ready(child)
    this.#child = child
    if (this.role === 'gateway') this.#note({ kind: 'up', gateway: this.index, at: now() })
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Lets it drain. Resolves to its exit code, or to the signal that ended it. */
  stop(): Promise<number | NodeJS.Signals | null> {
    return this.#end('SIGTERM')
  }

  /** Freezes it, or lets it go on. */
  freeze(isFrozen: boolean): void {
    this.#child?.kill(isFrozen ? 'SIGSTOP' : 'SIGCONT')
  }

  /** Sends it something. */
  send(message: object): void {
    this.#child?.send(message)
  }

  async #end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    const child = this.#child
    if (child === undefined) return null
    if (this.role === 'gateway') this.#note({ kind: 'down', gateway: this.index, at: now() })
    this.#child = undefined
    const ended = once(child, 'exit')
    child.kill(signal)
    // A frozen one takes a SIGTERM only when it goes on.
    child.kill('SIGCONT')
    const [code, by] = (await ended) as [number | null, NodeJS.Signals | null]
    return code ?? by
  }

  #ready(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = () => {
        child.kill('SIGKILL')
        reject(new Error(`${this.#name} was not ready in time`))
      }
      const timer = setTimeout(late, START_MS)
      const fail = () => {
        clearTimeout(timer)
        reject(new Error(`${this.#name} ended while it started`))
      }
      child.once('exit', fail)
      child.on('message', (message: Entry | { readonly ready: true }) => {
        if ('kind' in message) this.#note(message)
        else {
          clearTimeout(timer)
          child.off('exit', fail)
          resolve()
        }
      })
    })
  }

  /** Nobody has asked it to end: that is a failure of its own. */
  #ended(child: ChildProcess): void {
    if (this.#child !== child) return
    this.#child = undefined
    process.stderr.write(`${this.#name} has ended by itself: ${child.exitCode ?? child.signalCode}\n`)
    if (this.role === 'gateway') this.#note({ kind: 'down', gateway: this.index, at: now() })
  }

  get #name(): string {
    return `${this.role} ${this.index}`
  }
}
