import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const START_MS = 30_000
const STOP_MS = 15_000

/** A program of the repository in a process of its own. */
export interface Child {
  readonly port: number
  readonly origin: string
  /** What it has printed so far, to both streams. */
  output(): string
  /** Resolves when the output matches. */
  prints(pattern: RegExp): Promise<void>
  /** Sends the signal, without waiting for what comes of it. */
  signal(name: NodeJS.Signals): void
  /** Resolves when the process has ended: to its exit code, or to the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<number | NodeJS.Signals | null>
}

/** A port that was free a moment ago, and so was the next one: programs with two gateways take both. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = await listenedAt(0)
    const next = await listenedAt(port + 1).catch(() => undefined)
    if (next !== undefined) return port
  }
}

async function listenedAt(wanted: number): Promise<number> {
  const server = createServer().listen(wanted)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Starts a TypeScript file with `node`, so that the process is the program itself and signals reach it. */
export async function startChild(file: string, { env = {}, args = [] }: ChildOptions = {}): Promise<Child> {
  const port = await freePort()
  const given = { ...process.env, PORT: String(port), ...env }
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], { env: given })
  return watch(child, port)
}

/** How to start a child. */
export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

function watch(child: ChildProcessWithoutNullStreams, port: number): Child {
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk))
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  const signal = (name: NodeJS.Signals) => void child.kill(name)
  return {
    port,
    origin: `http://localhost:${port}`,
    output: () => printed,
    prints: (pattern) => until(() => pattern.test(printed), `${pattern} in: ${printed}`),
    signal,
    ended,
    async stop() {
      const cut = setTimeout(() => signal('SIGKILL'), STOP_MS)
      signal('SIGTERM')
      const end = await ended
      clearTimeout(cut)
      return end
    },
  }
}

/** Resolves when the server of the child answers, whatever it answers. */
export async function answers({ origin, output }: Child, path = '/'): Promise<void> {
  const isThere = () =>
    fetch(origin + path).then(
      () => true,
      () => false,
    )
  await until(isThere, `an answer of ${origin}: ${output()}`)
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const start = performance.now(); !(await condition()); await sleep(20)) {
    if (performance.now() - start > START_MS) throw new Error(`This did not come within ${START_MS} ms: ${what}`)
  }
}
