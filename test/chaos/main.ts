import { createWriteStream, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readOptions } from './options.js'
import { summary } from './report.js'
import { Run, type RunResult } from './run.js'

const say = (text: string) => process.stdout.write(`${text}\n`)

try {
  const options = readOptions(process.argv.slice(2))
  say(`${options.transport} and ${options.store}, seed ${options.seed}`)
  // Whatever hangs: the run has an end. Start, settling and last looks take their time beside the load.
  const loadSeconds = options.requests === undefined ? options.seconds : options.requests / options.rate
  const limitMs = (loadSeconds * 1.5 + 240) * 1000
  setTimeout(() => {
    say(`The run has taken longer than ${limitMs / 1000} s.`)
    process.exit(1)
  }, limitMs).unref()
  const result = await new Run(options, say).go()
  for (const line of summary(result)) say(line)
  if (result.violations.length > 0) {
    say(`The history is in ${keep(result)}; seed ${options.seed}`)
    process.exitCode = 1
  }
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  // What runs still is ended by its guard.
  process.exit(1)
}

function keep({ entries }: RunResult): string {
  const path = join(mkdtempSync(join(tmpdir(), 'respond-async-history-')), 'history.jsonl')
  const file = createWriteStream(path)
  for (const entry of entries) file.write(`${JSON.stringify(entry)}\n`)
  file.end()
  return path
}
