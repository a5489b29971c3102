import type { ChildProcess } from 'node:child_process'
import autocannon from 'autocannon'
import type { Framework, Responder } from './http-server.js'
import { median, printTable, short } from './measure.js'
import { ask, startChild } from './processes.js'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 9)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 2)
const WARM_UP_SECONDS = 3

/** What so many requests to one server came to. */
export interface HttpRow {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  readonly cpuPerThousand: number
}

/** The rows of one kind of server, round by round. */
export type HttpRows = ReadonlyMap<Responder, readonly HttpRow[]>

interface Server {
  readonly child: ChildProcess
  readonly port: number
  readonly prefer: string | undefined
}

/**
 * Load on one server at a time, all of them in turns, so that a machine that is faster now and slower then is so for
 * all of them alike; ratios are taken round by round.
 */
export async function benchHttp(
  framework: Framework,
  connections: number,
  { responders, prefer }: { readonly responders: readonly Responder[]; readonly prefer?: string },
): Promise<HttpRows> {
  const servers = new Map<Responder, Server>()
  const rows = new Map<Responder, HttpRow[]>()
  try {
    for (const responder of responders) {
      const child = startChild('server', framework, responder)
      const server = { child, port: (await ask(child)) as number, prefer }
      servers.set(responder, server)
      rows.set(responder, [])
      await load(server, connections, WARM_UP_SECONDS)
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [responder, server] of servers) rows.get(responder)?.push(await load(server, connections, SECONDS))
    }
  } finally {
    for (const { child } of servers.values()) child.kill()
  }
  return rows
}

/** Prints the medians of several frameworks, with the median of the ratios to the hand-written bridge. */
export function printHttp(title: string, frameworks: ReadonlyMap<string, HttpRows>): void {
  const table = [...frameworks].flatMap(([name, responders]) =>
    [...responders].map(([responder, rows]) => ({
      server: `${name}, ${responder}`,
      'requests/s': short(median(rows.map(({ rate }) => rate))),
      'x bridge': short(ratioToBridge(rows, responders.get('bridge'), 'rate')),
      'p50 ms': short(median(rows.map(({ p50 }) => p50))),
      'p99 ms': short(median(rows.map(({ p99 }) => p99))),
      'CPU-s per 1,000': median(rows.map(({ cpuPerThousand }) => cpuPerThousand)).toFixed(3),
      'CPU x bridge': short(ratioToBridge(rows, responders.get('bridge'), 'cpuPerThousand')),
    })),
  )
  printTable(title, table)
}

function ratioToBridge(rows: readonly HttpRow[], bridge: readonly HttpRow[] = [], of: keyof HttpRow): number {
  return median(rows.map((row, at) => row[of] / (bridge[at]?.[of] ?? Number.NaN)))
}

async function load({ child, port, prefer }: Server, connections: number, seconds: number): Promise<HttpRow> {
  const headers = { 'content-type': 'application/json', ...(prefer && { prefer }) }
  const url = `http://127.0.0.1:${port}/users`
  const before = (await ask(child)) as number
  const options = { url, method: 'POST' as const, headers, body: '{"username":"ada"}' }
  const result = await autocannon({ ...options, connections, duration: seconds })
  const cpuUs = ((await ask(child)) as number) - before
  const { total } = result.requests
  const wanted = prefer === undefined ? result['2xx'] : result.statusCodeStats?.['202']?.count
  if (Number(wanted) !== total) throw new Error(`not all answers were good: ${JSON.stringify(result.statusCodeStats)}`)
  const { p50, p99 } = result.latency
  return { rate: total / result.duration, p50, p99, cpuPerThousand: cpuUs / 1000 / total }
}
