import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { startDaemon, stopDaemons } from './brokers/daemons.js'
import { composeDown, composeUp, hasDocker } from './brokers/docker.js'
import { type Found, findServer, shownAddress, tableOf } from './brokers/find.js'
import { KIND_NAMES, KINDS, type Kind } from './brokers/kinds.js'
import { installByHand, installCommand } from './brokers/packages.js'
import { PROGRAMS } from './brokers/programs.js'

// Finds the servers that the package works with, starts what is missing, and prints what it did.
const { values, positionals } = readArguments()
const wanted = KIND_NAMES.filter((kind) => positionals.length === 0 || positionals.includes(kind))

if (values.stop) await stop()
else await start()

function readArguments() {
  try {
    const options = { install: { type: 'boolean' }, stop: { type: 'boolean' } } as const
    const read = parseArgs({ allowPositionals: true, options })
    const unknown = read.positionals.find((name) => !KIND_NAMES.some((kind) => kind === name))
    if (unknown === undefined) return read
    throw new Error(`There is no server "${unknown}".`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    console.error(`usage: npm run brokers -- [--install] [--stop] [${KIND_NAMES.join('|')} ...]`)
    process.exit(2)
  }
}

async function start(): Promise<void> {
  const found = new Map<Kind, Found>()
  const missing = () => wanted.filter((kind) => found.get(kind)?.address === undefined)
  const lookAgain = async (how?: string) => {
    for (const kind of missing()) {
      const seen = await findServer(kind)
      found.set(kind, how !== undefined && seen.address !== undefined ? { ...seen, how } : seen)
    }
  }
  await lookAgain()
  if (missing().length > 0 && hasDocker()) {
    console.log(`docker compose up -d ${missing().join(' ')}`)
    const { ok, output } = composeUp(missing())
    if (!ok) console.error(output)
    await waitFor(() => lookAgain('docker'), missing)
  }
  if (values.install) install(missing().filter((kind) => PROGRAMS[kind].missing() !== undefined))
  await lookAgain()
  for (const kind of missing()) found.set(kind, await startProgram(kind, found.get(kind)))
  show([...found.values()])
  advise(missing())
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

async function startProgram(kind: Kind, before: Found | undefined): Promise<Found> {
  const named = process.env[KINDS[kind].variable]
  // A server of ours at another place than the one that is named would not be used.
  if (named) return before ?? { kind, reason: `nothing answers at ${KINDS[kind].variable}` }
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

function advise(kinds: readonly Kind[]): void {
  if (kinds.length === 0) return
  console.log(`To get what is missing: ${installCommand(kinds) ?? installByHand(kinds)}`)
  if (!values.install && installCommand(kinds) !== undefined) console.log('npm run brokers -- --install runs that')
  process.exitCode = 1
}

async function stop(): Promise<void> {
  const ended = await stopDaemons()
  console.log(ended.length === 0 ? 'nothing that was started here runs' : `ended: ${ended.join(', ')}`)
  if (hasDocker()) console.log(composeDown().output.trim())
}
