import { type RunOptions, readRuns } from './options.js'
import { summary } from './report.js'
import { Run } from './run.js'

const say = (text: string) => process.stdout.write(`${text}\n`)

try {
  const verdicts: Promise<void>[] = []
  for (const options of readRuns(process.argv.slice(2))) {
    // The next one starts its servers while this one looks how it has all ended.
    await new Promise<void>((next, fail) => {
      const verdict = judge(options, next)
      verdict.catch(fail)
      verdicts.push(verdict)
    })
  }
  await Promise.all(verdicts)
  // Left to itself, Node 20 may wait for ever, at full load, for the handle of a socket that was reset.
  process.exit()
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  // What runs still is ended by its guard.
  process.exit(1)
}

async function judge(options: RunOptions, afterLoad: () => void): Promise<void> {
  const name = `${options.transport} and ${options.store}`
  const tell = (text: string) => say(`${name}: ${text}`)
  tell(`seed ${options.seed}`)
  // Whatever hangs: the run has an end. Start, settling and last looks take their time beside the load.
  const loadSeconds = options.requests === undefined ? options.seconds : options.requests / options.rate
  const limitMs = (loadSeconds * 1.5 + 240) * 1000
  const limit = setTimeout(() => {
    tell(`The run has taken longer than ${limitMs / 1000} s.`)
    process.exit(1)
  }, limitMs)
  const start = performance.now()
  const result = await new Run(options, tell).go(afterLoad)
  clearTimeout(limit)
  for (const line of summary(result)) tell(line)
  tell(`${Math.round((performance.now() - start) / 1000)} s in all`)
  if (options.keep || result.violations.length > 0)
    tell(`The history is in ${await result.journal.keep()}; seed ${options.seed}`)
  if (result.violations.length > 0) process.exitCode = 1
  await result.journal.close()
}
