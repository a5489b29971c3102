import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createBridge } from './bridge.js'
import type { Variant } from './core.js'
import { createBackEnd, createBenchGateway, VAST } from './setup.js'

const WAITS = 100_000

/** The cost of 100,000 waits that end within one second without a result. */
export interface StormRow {
  readonly cpuMs: number
  readonly longestStallMs: number
  /** How much later than asked for a wait ended at the most. */
  readonly latestMs: number
}

/** Starts all waits, so that they end spread over one second, and measures that second. */
export async function benchStorm(kind: Variant): Promise<StormRow> {
  const wait = await createWait(kind)
  const startedAt = performance.now()
  const firstEndMs = 6000
  const all: Promise<number>[] = []
  for (let at = 0; at < WAITS; at += 1) {
    const waitMs = Math.round(firstEndMs + (at * 1000) / WAITS - (performance.now() - startedAt))
    const due = performance.now() + waitMs
    all.push(wait(waitMs).then(() => performance.now() - due))
    if (at % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await new Promise((resolve) => setTimeout(resolve, firstEndMs - (performance.now() - startedAt) - 100))
  const stalls = monitorEventLoopDelay({ resolution: 1 })
  const before = process.cpuUsage()
  stalls.enable()
  const lateness = await Promise.all(all)
  stalls.disable()
  const { user, system } = process.cpuUsage(before)
  const latestMs = lateness.reduce((most, late) => Math.max(most, late), 0)
  return { cpuMs: (user + system) / 1000, longestStallMs: stalls.max / 1e6, latestMs }
}

async function createWait(kind: Variant): Promise<(waitMs: number) => Promise<unknown>> {
  const transport = await createBackEnd()
  if (kind === 'hand-written bridge') {
    const bridge = await createBridge(transport)
    return (waitMs) => bridge.request({ username: 'silent' }, waitMs)
  }
  const { createUser } = await createBenchGateway(transport, kind === 'gateway' ? 'memory' : 'none', VAST)
  return (waitMs) => createUser.request({ username: 'silent' }, { waitMs })
}
