import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { startDaemon, stopDaemons } from './brokers/daemons.js'
import { composeDown, composeUp, hasDocker } from './brokers/docker.js'
import { type Found, findServer, isNamed, shownAddress, tableOf } from './brokers/find.js'
import { KIND_NAMES, KINDS, type Kind } from './brokers/kinds.js'
import { installByHand, installCommand } from './brokers/packages.js'
import { PROGRAMS } from './brokers/programs.js'

// Finds the servers that the package works with, starts what is missing, and prints what it did.
const USAGE = `usage: npm run brokers -- [--install] [--stop] [--help] [${KIND_NAMES.join('|')} ...]

Finds these servers, or all: where ${KIND_NAMES.map((kind) => KINDS[kind].variable).join(', ')} say,
else at their standard ports. Starts what is missing with docker, or from what is installed.
  --install  installs what is missing with the package manager of this machine
  --stop     ends what was started here`
const { values, positionals } = readArguments()
const wanted = KIND_NAMES.filter((kind) => positionals.length === 0 || positionals.includes(kind))

if (values.help) console.log(USAGE)
else if (values.stop) await stop()
else await start()

function readArguments() {
  try {
    const options = { install: { type: 'boolean' }, stop: { type: 'boolean' }, help: { type: 'boolean' } } as const
    const read = parseArgs({ allowPositionals: true, options })
    const unknown = read.positionals.find((name) => !KIND_NAMES.some((kind) => kind === name))
    if (unknown === undefined) return read
    throw new Error(`There is no server "${unknown}".`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    console.error(USAGE)
    process.exit(2)
  }
}

async function start(): Promise<void> {
  const found = new Map<Kind, Found>()
  const missing = () => wanted.filter((kind) => found.get(kind)?.address === undefined)
  // One of ours could not have the port of another.
  const startable = () => missing().filter((kind) => !isTaken(found.get(kind)))
  const lookAgain = async (how?: string) => {
    for (const kind of missing()) {
      const seen = await findServer(kind)
      found.set(kind, how !== undefined && seen.address !== undefined ? { ...seen, how } : seen)
    }
  }
  await lookAgain()
  const away = missing().filter((kind) => isNamed(kind))
  if (away.length > 0) return refuse([...found.values()], away)
  if (startable().length > 0 && hasDocker()) {
    console.log(`docker compose up -d ${startable().join(' ')}`)
    const { ok, output } = composeUp(startable())
    if (ok) await waitFor(() => lookAgain('docker'), startable)
    else console.error(output)
  }
  if (values.install) install(startable().filter((kind) => PROGRAMS[kind].missing() !== undefined))
  await lookAgain()
  for (const kind of startable()) found.set(kind, await startProgram(kind))
  show([...found.values()])
  advise(missing(), startable())
}

/** Containers take a moment; those that do not come are shown as missing. */
async function waitFor(look: () => Promise<void>, missing: () => readonly Kind[]): Promise<void> {
  for (let tries = 0; tries < 60 && missing().length > 0; tries += 1) {
    await look()
    if (missing().length > 0) await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}

function install(kinds: readonly Kind[]): void {
  const command = installCommand(kinds)
  if (command === undefined) return
  console.log(command)
  const { status } = spawnSync(command, { shell: true, stdio: 'inherit' })
  if (status !== 0) console.error(`"${command}" has failed`)
}

async function startProgram(kind: Kind): Promise<Found> {
  const reason = PROGRAMS[kind].missing()
  if (reason !== undefined) return { kind, reason }
  try {
    const pid = await startDaemon(kind)
    return { kind, address: KINDS[kind].address(`127.0.0.1:${KINDS[kind].port}`), how: `started, pid ${pid}` }
  } catch (error) {
    return { kind, reason: error instanceof Error ? error.message : String(error) }
  }
}

function show(found: readonly Found[]): void {
  const rows = found.map((each) => {
    const { title } = KINDS[each.kind]
    return each.address === undefined
      ? ([title, 'missing', each.reason] as const)
      : ([title, shownAddress(each.address), each.how] as const)
  })
  for (const line of tableOf(rows)) console.log(line)
  if (found.some((each) => each.address !== undefined && each.how.startsWith('started')))
    console.log('npm run brokers -- --stop ends what was started')
}

/** A server of ours in the place of one that the environment names would not be the one that is used. */
function refuse(found: readonly Found[], away: readonly Kind[]): void {
  show(found)
  for (const kind of away) {
    const { title, variable } = KINDS[kind]
    const advice = `start the ${title} that ${variable} names, correct ${variable}, or unset it`
    console.error(`Nothing was started: ${advice} to have one found or started.`)
  }
  process.exitCode = 1
}

function isTaken(found: Found | undefined): boolean {
  return found?.address === undefined && found?.isTaken === true
}

function advise(missing: readonly Kind[], startable: readonly Kind[]): void {
  if (missing.length === 0) return
  process.exitCode = 1
  for (const kind of missing.filter((each) => !startable.includes(each))) {
    const { title, variable } = KINDS[kind]
    console.log(`To use the ${title} that is there, set ${variable} to an address with a login for it.`)
  }
  if (startable.length === 0) return
  console.log(`To get what is missing: ${installCommand(startable) ?? installByHand(startable)}`)
  if (!values.install && installCommand(startable) !== undefined) console.log('npm run brokers -- --install runs that')
}

async function stop(): Promise<void> {
  const ended = await stopDaemons()
  console.log(ended.length === 0 ? 'nothing that was started here runs' : `ended: ${ended.join(', ')}`)
  if (hasDocker()) console.log(composeDown().output.trim())
}
