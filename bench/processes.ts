import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Starts one task of `child.ts` in a process of its own; what it finds comes by `ask`. */
export function startChild(...task: readonly string[]): ChildProcess {
  const execArgv = ['--expose-gc', '--max-old-space-size=12000']
  return fork(fileURLToPath(new URL('./child.js', import.meta.url)), [...task], { execArgv })
}

/** Asks a child something, by default for its next answer. */
export async function ask(child: ChildProcess, question: object | string = 'next'): Promise<unknown> {
  const answer = new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', (code) => reject(new Error(`The process ended with ${code}.`)))
  })
  child.send(question)
  const value = await answer
  child.removeAllListeners('exit')
  return value
}
