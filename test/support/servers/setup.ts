import type { TestProject } from 'vitest/node'
import { shownAddress, tableOf } from '../../../scripts/brokers/find.js'
import { KINDS } from '../../../scripts/brokers/kinds.js'
import { Desk } from './desk.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** The port of the desk that hands out servers. */
    serverDesk: number
  }
}

/** One desk for the projects of a run, which each come here. */
const shared = globalThis as {
  respondAsyncDesk?: { readonly port: Promise<number>; readonly desk: Desk; users: number }
}

/** Shows which servers there are, once, and gives every test file the desk that hands them out. */
export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const given = shared.respondAsyncDesk ?? open()
  shared.respondAsyncDesk = given
  given.users += 1
  provide('serverDesk', await given.port)
  return async () => {
    given.users -= 1
    if (given.users > 0) return
    delete shared.respondAsyncDesk
    await given.desk.close()
  }
}

function open() {
  const desk = new Desk()
  return { desk, users: 0, port: show(desk).then(() => desk.open()) }
}

async function show(desk: Desk): Promise<void> {
  const found = await desk.survey()
  const rows = found.map((each) => {
    const { title } = KINDS[each.kind]
    if (each.address !== undefined) return [title, shownAddress(each.address), each.how] as const
    return each.canStart
      ? ([title, 'of our own', 'started when a test asks for it'] as const)
      : ([title, 'SKIPPED', each.reason] as const)
  })
  process.stdout.write(`${tableOf(rows).join('\n')}\n`)
  const missing = found.filter(({ address, canStart }) => address === undefined && !canStart)
  if (process.env.REQUIRE_BROKERS === '1' && missing.length > 0)
    throw new Error(`REQUIRE_BROKERS=1, but there is no ${missing.map(({ kind }) => KINDS[kind].title).join(', no ')}`)
}
