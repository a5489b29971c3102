import { toShell } from './curl.js'
import { startDemo } from './demo.js'
import { variablesOf } from './parts.js'
import { documentedScenarios } from './requests.js'
import { report, runRole } from './roles.js'
import { runOnce } from './run-once.js'
import { type Role, readSettings, type Settings, UsageError } from './settings.js'
import { supervise } from './supervisor.js'

/** Starts the demo and prints what to try; SIGTERM and SIGINT drain it. */
async function serve(settings: Settings): Promise<void> {
  const demo = await startDemo(settings)
  // npm passes on a signal that a terminal has sent already, so a second one means nothing; the drain is bounded.
  const stop = (signal: NodeJS.Signals) => {
    if (demo.gateway.isClosing) return
    console.log(`\n${signal}: draining`)
    demo.close().then(() => console.log('drained'), fail)
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
  const origin = `http://localhost:${demo.port}`
  console.log(toShell(documentedScenarios(settings.waitMs), origin))
  console.log('\n# Leave this running, and paste the lines above into a second terminal.')
  console.log('# Each username exists once: to run all lines again, start the demo again.')
  console.log(
    `# ${describe(settings)}: ${origin}, durability: ${demo.gateway.durability.class}. Ctrl-C drains and ends it.`,
  )
}

/** Runs the documented requests against a demo of its own. */
async function checkOnce(settings: Settings): Promise<void> {
  const demo = await startDemo({ ...settings, port: 0 })
  console.log(`# ${describe(settings)}, durability: ${demo.gateway.durability.class}`)
  const differences = await runOnce(documentedScenarios(settings.waitMs), `http://localhost:${demo.port}`)
  await demo.close()
  console.log(differences === 0 ? '\nAll answers are as documented.' : `\n${differences} differences.`)
  process.exitCode = differences === 0 ? 0 : 1
}

/** Keeps gateways and workers running, each in a process of its own; SIGTERM and SIGINT drain all of them. */
async function serveApart(settings: Settings): Promise<void> {
  const { transport, store, instances, workers, prefix } = settings
  console.log(toShell(documentedScenarios(settings.waitMs), `http://localhost:${settings.port}`))
  console.log('\n# The lines above work with every gateway, as soon as they are up; the other ports are named below.')
  console.log('# Each username exists once: to run all lines again, start it with another DEMO_PREFIX.')
  console.log(`# ${describe(settings)}, over ${transport}, kept in ${store}, names begin with ${prefix}`)
  const many = (kind: Role['kind'], count: number) => Array.from({ length: count }, (_, index) => ({ kind, index }))
  const supervised = supervise([...many('gateway', instances), ...many('worker', workers)])
  const signal = new Promise<string>((resolve) => {
    process.on('SIGTERM', resolve).on('SIGINT', resolve)
  })
  const refused = supervised.refused.then((mistake) => {
    console.error(mistake)
    process.exitCode = 2
    return 'It cannot start like this'
  })
  console.log(`${await Promise.race([signal, refused])}: draining`)
  await supervised.stop()
  console.log('drained')
}

function describe({ framework, waitMs }: Settings): string {
  return `respond-async on ${framework}, waits ${waitMs} ms for results`
}

function fail(error: unknown): void {
  console.error(textOf(error))
  process.exitCode = error instanceof UsageError ? 2 : 1
}

function textOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code !== 'EADDRINUSE') return message
  return `The port is in use (${message}). Choose another one: PORT=3001 npm run demo`
}

/** What a start that fails leaves open would keep the process alive; it is started again, where that can help. */
function giveUp(settings: Settings, error: unknown): void {
  const { code } = error as NodeJS.ErrnoException
  const variables = variablesOf(settings).join(' and ')
  const text = code === 'EADDRINUSE' || variables === '' ? textOf(error) : `${textOf(error)} See ${variables}.`
  const isMistake = code === 'ERR_CONFIG' || code === 'ERR_INVALID_URL' || code === 'EADDRINUSE'
  if (isMistake && settings.role) {
    report({ mistake: text }, () => process.exit(2))
    return
  }
  console.error(text)
  process.exit(isMistake ? 2 : 1)
}

async function start(settings: Settings): Promise<void> {
  if (settings.role) return runRole(settings, settings.role)
  if (settings.transport !== 'memory') return serveApart(settings)
  return settings.once ? checkOnce(settings) : serve(settings)
}

// Nobody has to read what it prints: `npm run demo | head` must not end it.
process.stdout.on('error', () => {})

try {
  const settings = readSettings(process.env, process.argv.slice(2))
  await start(settings).catch((error) => giveUp(settings, error))
} catch (error) {
  fail(error)
}
