import { createBridge, createFloor } from './bridge.js'
import { type Cost, costOf, heapUsed, median, printTable, short } from './measure.js'
import { createBackEnd, createBenchGateway } from './setup.js'

const PENDING = [0, 1000, 100_000, 1_000_000]
const ROUNDS = 5
const CALLS = 40_000
const FOREVER_MS = 300_000

/** What is measured, each in a process of its own. */
export type Variant = 'transport alone' | 'hand-written bridge' | 'gateway without store' | 'gateway'

/** What was found with so many requests waiting. */
export interface CoreRow {
  readonly pending: number
  readonly cost: Cost
  readonly bytes: number
}

interface Subject {
  ask(): Promise<unknown>
  /** One more request that is never answered. */
  wait(): unknown
}

/** Core round trips, one variant in one process: with N requests waiting, in turns with the hand-written bridge. */
export async function benchCore(kind: Variant): Promise<CoreRow[]> {
  const subject = await createSubject(kind)
  await costOf(() => subject.ask(), CALLS)
  let waiting = 0
  const before = heapUsed()
  const report: CoreRow[] = []
  for (const pending of kind === 'transport alone' ? PENDING.slice(0, 2) : PENDING) {
    for (; waiting < pending; waiting += 1) {
      subject.wait()
      if (waiting % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    const bytes = pending === 0 ? 0 : (heapUsed() - before) / pending
    const costs: Cost[] = []
    for (let round = 0; round < ROUNDS; round += 1) costs.push(await costOf(() => subject.ask(), CALLS))
    const cost = { wallUs: median(costs.map((c) => c.wallUs)), cpuUs: median(costs.map((c) => c.cpuUs)) }
    report.push({ pending, cost, bytes })
  }
  return report
}

/** Prints what the processes of `benchCore` found, beside each other. */
export function printCore(reports: ReadonlyMap<string, readonly CoreRow[]>): void {
  const bridge = reports.get('hand-written bridge') ?? []
  const rows = [...reports].flatMap(([name, report]) =>
    report.map(({ pending, cost, bytes }, at) => ({
      variant: name,
      pending: pending.toLocaleString('en-US'),
      'CPU us': short(cost.cpuUs),
      'x bridge': short(cost.cpuUs / (bridge[at]?.cost.cpuUs ?? Number.NaN)),
      'x own at 1,000': short(cost.cpuUs / (report[1]?.cost.cpuUs ?? Number.NaN)),
      'heap bytes per pending': pending < 100_000 ? '-' : short(bytes),
    })),
  )
  printTable('Core round trip on the in-memory transport, 64 in flight', rows)
}

async function createSubject(kind: Variant): Promise<Subject> {
  const transport = await createBackEnd()
  if (kind === 'transport alone') {
    const ask = await createFloor(transport)
    return { ask, wait: () => undefined }
  }
  if (kind === 'hand-written bridge') {
    const bridge = await createBridge(transport)
    return {
      ask: () => bridge.request({ username: 'ada' }, 5000),
      wait: () => bridge.request({ username: 'silent' }, FOREVER_MS),
    }
  }
  const { createUser } = await createBenchGateway(transport, kind === 'gateway' ? 'memory' : 'none')
  return {
    ask: () => createUser.request({ username: 'ada' }),
    wait: () => createUser.request({ username: 'silent' }, { waitMs: FOREVER_MS }),
  }
}
