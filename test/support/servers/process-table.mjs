// Plain JavaScript, as the guard runs without a compiler.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const PROC = '/proc/self/stat'

/** Why the processes of this machine cannot be listed; undefined when they can. */
export function whyNoProcessTable() {
  if (existsSync(PROC) || spawnSync('ps', ['-A']).error === undefined) return undefined
  return 'neither /proc nor the program ps lists the processes of this machine'
}

/** A process and everything below it, itself first: the children of a server may have left its process group. */
export function processTree(root) {
  const pairs = existsSync(PROC) ? pairsOfProc() : pairsOfPs()
  const found = [root]
  // The list grows while it is walked.
  for (const parent of found) for (const [pid, ppid] of pairs) if (ppid === parent) found.push(pid)
  return found
}

function pairsOfProc() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = statOf(name)
      // The name of the program is in brackets, and may hold some: its state and its parent are behind the last one.
      return stat === undefined ? [] : [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]]
    })
}

/** Undefined when the process has ended meanwhile. */
function statOf(name) {
  try {
    return readFileSync(`/proc/${name}/stat`, 'latin1')
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined
    throw error
  }
}

function pairsOfPs() {
  const { stdout, error } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  if (error) throw error
  const lines = stdout.trim().split('\n')
  return lines.map((line) => line.trim().split(/\s+/).map(Number))
}
