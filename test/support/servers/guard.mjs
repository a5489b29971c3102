// Outlives the test process: when that ends, in whatever way, the pipe to this one closes, and what it had started
// is killed and removed. It gets lines: `+pid N`, `-pid N`, `+folder PATH`, `-folder PATH`.
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { processTree } from './process-table.mjs'

const pids = new Set()
const folders = new Set()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

for await (const line of createInterface({ input: process.stdin })) {
  const [, sign, kind, value] = /^([+-])(pid|folder) (.+)$/.exec(line) ?? []
  const set = kind === 'pid' ? pids : folders
  if (sign === '+') set.add(value)
  else if (sign === '-') set.delete(value)
}

for (const pid of pids) for (const each of treeOf(Number(pid))) kill(each)
for (const folder of folders) {
  attempt(`${folder} is not removed`, () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
}

/** At least the process itself, when nothing tells what it has started. */
function treeOf(pid) {
  return attempt(`what pid ${pid} has started may run on`, () => processTree(pid)) ?? [pid]
}

function kill(pid) {
  attempt(`pid ${pid} is not killed`, () => {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  })
}

/** What fails is said, and the rest is done all the same. */
function attempt(consequence, work) {
  try {
    return work()
  } catch (error) {
    process.exitCode = 1
    process.stderr.write(`The guard of the tests: ${consequence}: ${error.message}\n`)
    return undefined
  }
}
