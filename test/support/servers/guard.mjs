// Outlives the test process: when that ends, in whatever way, the pipe to this one closes, and what it had started
// is killed and removed. It gets lines: `+pid N`, `-pid N`, `+folder PATH`, `-folder PATH`.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

const pids = new Set()
const folders = new Set()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

for await (const line of createInterface({ input: process.stdin })) {
  const [, sign, kind, value] = /^([+-])(pid|folder) (.+)$/.exec(line) ?? []
  const set = kind === 'pid' ? pids : folders
  if (sign === '+') set.add(value)
  else if (sign === '-') set.delete(value)
}

for (const pid of pids) for (const each of tree(Number(pid))) kill(each)
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })

/** A process with everything below it: servers have children that leave its group. */
function tree(root) {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const found = [root]
  for (const parent of found) found.push(...pairs.filter(([, ppid]) => ppid === parent).map(([pid]) => pid))
  return found
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') process.stderr.write(`pid ${pid} cannot be killed: ${error.code}\n`)
  }
}
