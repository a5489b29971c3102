import { spawnSync } from 'node:child_process'

/** A process and everything below it, itself first: the children of a server may have left its process group. */
export function processTree(root: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const found = [root]
  // The list grows while it is walked.
  for (const parent of found) {
    for (const [pid, ppid] of pairs) if (ppid === parent && pid !== undefined) found.push(pid)
  }
  return found
}

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
