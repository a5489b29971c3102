import { benchCore, type CoreRow, cpuUsOf, printCore, type Variant } from './core.js'
import { benchHttp, type HttpRows, printHttp } from './http.js'
import type { Framework } from './http-server.js'
import { median, printTable, short } from './measure.js'
import { ask, startChild } from './processes.js'
import type { StormRow } from './storm.js'

const ASKING: readonly Variant[] = ['hand-written bridge', 'gateway without store', 'gateway']
const FRAMEWORKS: readonly Framework[] = ['fastify', 'express', 'node:http']
const CONNECTIONS = [64, 512]

/** The core and HTTP on the in-memory transport. */
export async function benchInMemory(): Promise<void> {
  const core = await benchCore(['transport alone', ...ASKING])
  printCore(core)

  const bareCpuUs = await benchServers()
  printTable(
    'CPU of a core round trip with 1,000 waiting, as a share of a bare Fastify request',
    shares(core, bareCpuUs),
  )

  const storms = await benchVariants<StormRow>('storm', ASKING)
  printTable(
    '100,000 waits ending in one second',
    [...storms].map(([variant, { cpuMs, longestStallMs, latestMs }]) => ({
      variant,
      'CPU ms': short(cpuMs),
      'longest stall ms': short(longestStallMs),
      'latest end, ms after its time': short(latestMs),
    })),
  )
}

/** What a gateway costs over the transport and the back end, which whoever asks has to pay for. */
function shares(core: ReadonlyMap<Variant, readonly CoreRow[]>, bareUs: number) {
  const cpuUs = (variant: Variant) => cpuUsOf(core.get(variant)?.[1])
  return ASKING.map((variant) => ({
    variant,
    'with transport and back end': short(cpuUs(variant) / bareUs),
    'its own part': short((cpuUs(variant) - cpuUs('transport alone')) / bareUs),
  }))
}

async function benchVariants<Found>(task: string, variants: readonly Variant[]): Promise<Map<string, Found>> {
  const found = new Map<string, Found>()
  for (const variant of variants) {
    const child = startChild(task, variant)
    found.set(variant, (await ask(child)) as Found)
    child.kill()
  }
  return found
}

/** Prints the HTTP figures, and gives the CPU time of a bare Fastify request in microseconds. */
async function benchServers(): Promise<number> {
  let bareUs = Number.NaN
  for (const connections of CONNECTIONS) {
    const rows = new Map<string, HttpRows>()
    const responders = ['bare', 'bridge', 'gateway without store', 'gateway'] as const
    for (const framework of FRAMEWORKS) rows.set(framework, await benchHttp(framework, connections, { responders }))
    printHttp(`HTTP, ${connections} connections`, rows)
    const bare = rows.get('fastify')?.get('bare') ?? []
    if (connections === 64) bareUs = median(bare.map(({ cpuPerThousand }) => cpuPerThousand)) * 1000
  }
  const accepted = new Map<string, HttpRows>()
  const asked = { responders: ['gateway'], prefer: 'respond-async' } as const
  for (const framework of FRAMEWORKS) accepted.set(framework, await benchHttp(framework, 64, asked))
  printHttp('202 at once (Prefer: respond-async), 64 connections', accepted)
  return bareUs
}
