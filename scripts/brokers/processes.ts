import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** A process that outlives the command that has started it. */
export interface KnownProcess {
  readonly pid: number
  /** When it was started, as the system puts it: another process with its number has another one. */
  readonly birth: string
}

/** A process that runs, to be known again. */
export function remember(pid: number): KnownProcess {
  return { pid, birth: birthOf(pid) ?? '' }
}

/** Whether this very process runs still, and not another one that has got its number. */
export function isStill({ pid, birth }: KnownProcess): boolean {
  return birth !== '' && birthOf(pid) === birth
}

/** Undefined when no such process runs, or nothing tells. */
function birthOf(pid: number): string | undefined {
  return existsSync('/proc/self/stat') ? birthByProc(pid) : birthByPs(pid)
}

function birthByProc(pid: number): string | undefined {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return undefined
  const stat = readFileSync(file, 'latin1')
  // The name of the program is in brackets, and may hold some; the state is the first field behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // One that has ended and is not collected runs no more.
  if (fields[0] === 'Z') return undefined
  // Counted from the start of the machine, so that the start belongs to it.
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`
}

function birthByPs(pid: number): string | undefined {
  const { status, stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
  return status === 0 && stdout.trim() !== '' ? stdout.trim() : undefined
}
