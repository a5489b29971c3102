import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('./guard.mjs', import.meta.url))
let guard: ChildProcess | undefined

/** Tells the guard of this process, which it starts first if need be. */
function tell(line: string): void {
  // In a session of its own, as Ctrl-C reaches everything in this one.
  guard ??= spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'ignore', 'inherit'], detached: true })
  guard.unref()
  const { stdin } = guard
  if (stdin === null) throw new Error('The guard has no input.')
  stdin.write(`${line}\n`)
  // The pipe must not keep this process alive: its end is what the guard waits for.
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
}

/** Has a process killed, with its children, when this one ends. The returned function is called when it has ended. */
export function guardProcess(pid: number): () => void {
  tell(`+pid ${pid}`)
  return () => tell(`-pid ${pid}`)
}

/** A folder that is removed by `remove`, or when this process ends. */
export function temporaryFolder(name: string): { readonly path: string; remove(): void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), `respond-async-${name}-`)))
  tell(`+folder ${path}`)
  const remove = () => {
    rmSync(path, { recursive: true, force: true, maxRetries: 5 })
    tell(`-folder ${path}`)
  }
  return { path, remove }
}
