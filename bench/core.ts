import type { ChildProcess } from 'node:child_process'
import { createBridge, createFloor } from './bridge.js'
import { type Cost, costOf, heapUsed, median, printTable, short } from './measure.js'
import { ask, startChild } from './processes.js'
import { createBackEnd, createBenchGateway, VAST } from './setup.js'

const PENDING = [0, 1000, 100_000, 1_000_000]
const ROUNDS = 7
const CALLS = 40_000
const FOREVER_MS = 300_000

/** What is measured, each in a process of its own. */
export type Variant = 'transport alone' | 'hand-written bridge' | 'gateway without store' | 'gateway'

/** What was found with so many requests waiting, round by round. */
export interface CoreRow {
  readonly pending: number
  readonly costs: readonly Cost[]
  readonly bytes: number
}

/** What a process is asked: to let so many requests wait, or for the cost of one round. */
type Question = { readonly pending: number } | 'round'

interface Subject {
  ask(): Promise<unknown>
  /** One more request that is never answered. */
  wait(): unknown
}

/** In a process of its own: answers the questions of `benchCore`. */
export async function serveCore(kind: Variant): Promise<(question: Question) => Promise<number | Cost>> {
  const subject = await createSubject(kind)
  await costOf(() => subject.ask(), 2 * CALLS)
  const before = heapUsed()
  let waiting = 0
  return async (question) => {
    if (question === 'round') return costOf(() => subject.ask(), CALLS)
    for (; waiting < question.pending; waiting += 1) {
      subject.wait()
      if (waiting % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    // What was published has been marked as such by then.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    return waiting === 0 ? 0 : (heapUsed() - before) / waiting
  }
}

/** Core round trips with N requests waiting: all variants in turns, as a machine may be faster now and slower then. */
export async function benchCore(variants: readonly Variant[]): Promise<ReadonlyMap<Variant, readonly CoreRow[]>> {
  const children = new Map<Variant, ChildProcess>()
  const found = new Map<Variant, CoreRow[]>(variants.map((variant) => [variant, []]))
  for (const variant of variants) {
    const child = startChild('core', variant)
    children.set(variant, child)
    await ask(child)
  }
  for (const pending of PENDING) {
    const costs = new Map<Variant, Cost[]>()
    const bytes = new Map<Variant, number>()
    for (const [variant, child] of children) bytes.set(variant, (await ask(child, { pending })) as number)
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [variant, child] of children)
        costs.set(variant, [...(costs.get(variant) ?? []), (await ask(child, 'round')) as Cost])
    }
    for (const [variant, rows] of found)
      rows.push({ pending, costs: costs.get(variant) ?? [], bytes: bytes.get(variant) ?? 0 })
  }
  for (const child of children.values()) child.kill()
  return found
}

/** CPU time of one round trip with so many waiting, in microseconds: the median of the rounds. */
export function cpuUsOf(row: CoreRow | undefined): number {
  return median((row?.costs ?? []).map(({ cpuUs }) => cpuUs))
}

/** Prints what `benchCore` found, beside each other; ratios are medians of the rounds' ratios. */
export function printCore(reports: ReadonlyMap<string, readonly CoreRow[]>): void {
  const bridge = reports.get('hand-written bridge') ?? []
  const rows = [...reports].flatMap(([name, report]) =>
    report.map((row, at) => ({
      variant: name,
      pending: row.pending.toLocaleString('en-US'),
      'CPU us': short(cpuUsOf(row)),
      'x bridge': short(ratio(row, bridge[at])),
      'x own at 1,000': short(cpuUsOf(row) / cpuUsOf(report[1])),
      'heap bytes per pending': row.pending < 100_000 || name === 'transport alone' ? '-' : short(row.bytes),
    })),
  )
  printTable('Core round trip on the in-memory transport, 64 in flight', rows)
}

function ratio(row: CoreRow, other: CoreRow | undefined): number {
  return median(row.costs.map(({ cpuUs }, round) => cpuUs / (other?.costs[round]?.cpuUs ?? Number.NaN)))
}

async function createSubject(kind: Variant): Promise<Subject> {
  const transport = await createBackEnd()
  if (kind === 'transport alone') return { ask: await createFloor(transport), wait: () => undefined }
  if (kind === 'hand-written bridge') {
    const bridge = await createBridge(transport)
    return {
      ask: () => bridge.request({ username: 'ada' }, 5000),
      wait: () => bridge.request({ username: 'silent' }, FOREVER_MS),
    }
  }
  const { createUser } = await createBenchGateway(transport, kind === 'gateway' ? 'memory' : 'none', VAST)
  return {
    ask: () => createUser.request({ username: 'ada' }),
    wait: () => createUser.request({ username: 'silent' }, { waitMs: FOREVER_MS }),
  }
}
