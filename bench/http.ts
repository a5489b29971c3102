import autocannon from 'autocannon'
import type { Framework, Responder } from './http-server.js'
import { median, printTable, short } from './measure.js'
import { ask, startChild } from './processes.js'

const ROUNDS = 3
const SECONDS = Number(process.env.BENCH_SECONDS ?? 4)

/** One server under load. */
export interface HttpRow {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  readonly cpuPerThousand: number
}

/** Load on one server at a time, the variants in turns, so that the machine's moods meet all of them alike. */
export async function benchHttp(framework: Framework, connections: number): Promise<Map<Responder, HttpRow>> {
  const responders: readonly Responder[] = ['bare', 'bridge', 'gateway']
  const rounds = new Map<Responder, HttpRow[]>(responders.map((responder) => [responder, []]))
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const responder of responders) {
      rounds.get(responder)?.push(await loadServer({ framework, responder, connections, prefer: undefined }))
    }
  }
  return new Map([...rounds].map(([responder, rows]) => [responder, middle(rows)]))
}

/** The rate of requests that are answered with 202 at once. */
export async function benchAccepted(framework: Framework, connections: number): Promise<HttpRow> {
  const rows: HttpRow[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    rows.push(await loadServer({ framework, responder: 'gateway', connections, prefer: 'respond-async' }))
  }
  return middle(rows)
}

/** Prints the rows of several frameworks, with the ratios to the hand-written bridge. */
export function printHttp(title: string, rows: ReadonlyMap<string, ReadonlyMap<Responder, HttpRow>>): void {
  const table = [...rows].flatMap(([name, variants]) =>
    [...variants].map(([responder, row]) => ({
      server: `${name}, ${responder}`,
      'requests/s': short(row.rate),
      'x bridge': short(row.rate / (variants.get('bridge')?.rate ?? Number.NaN)),
      'p50 ms': short(row.p50),
      'p99 ms': short(row.p99),
      'CPU-s per 1,000': row.cpuPerThousand.toFixed(3),
    })),
  )
  printTable(title, table)
}

interface Load {
  readonly framework: Framework
  readonly responder: Responder
  readonly connections: number
  readonly prefer: string | undefined
}

async function loadServer({ framework, responder, connections, prefer }: Load): Promise<HttpRow> {
  const child = startChild('server', framework, responder)
  try {
    const port = (await ask(child)) as number
    const headers = { 'content-type': 'application/json', ...(prefer && { prefer }) }
    const url = `http://127.0.0.1:${port}/users`
    const options = { url, method: 'POST' as const, headers, body: '{"username":"ada"}', connections }
    await autocannon({ ...options, duration: 1 })
    const before = (await ask(child)) as number
    const result = await autocannon({ ...options, duration: SECONDS })
    const cpuUs = ((await ask(child)) as number) - before
    const wanted = prefer === undefined ? result['2xx'] : result.statusCodeStats?.['202']?.count
    if (Number(wanted) !== result.requests.total)
      throw new Error(`not all answers were good: ${JSON.stringify(result.statusCodeStats)}`)
    const { p50, p99 } = result.latency
    return {
      rate: result.requests.total / result.duration,
      p50,
      p99,
      cpuPerThousand: cpuUs / 1000 / result.requests.total,
    }
  } finally {
    child.kill()
  }
}

function middle(rows: readonly HttpRow[]): HttpRow {
  const of = (name: keyof HttpRow) => median(rows.map((row) => row[name]))
  return { rate: of('rate'), p50: of('p50'), p99: of('p99'), cpuPerThousand: of('cpuPerThousand') }
}
