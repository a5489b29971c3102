import { processTree } from './process-table.mjs'

/** Sends a signal to a process and everything below it; those that have ended are no error. */
export function signalTree(root: number, signal: NodeJS.Signals): void {
  for (const pid of processTree(root)) signalOne(pid, signal)
}

/** False when there is no such process any more. */
export function signalOne(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    return false
  }
}
