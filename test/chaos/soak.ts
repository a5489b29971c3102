import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './history.js'
import { ask } from './http.js'

/** What a gateway uses at a time, behind a collection of garbage. */
export interface Usage {
  readonly at: number
  readonly heapUsed: number
  /** Requests that wait, and timers, sockets and the like that keep the process alive. */
  readonly pending: number
  readonly resources: number
}

const EVERY_MS = 10_000
const HOUR_MS = 3_600_000
/** Caches and compiled code fill in the beginning. */
const WARM_UP = 1 / 3
const MOST_BYTES_PER_HOUR = 1_000_000
/** Fewer say nothing. */
const LEAST_SAMPLES = 30

/** Asks a gateway what it uses; undefined when it does not answer. */
export async function usageOf(port: number): Promise<Usage | undefined> {
  const { status, body } = await ask({ port, path: '/usage' })
  if (status !== 200) return undefined
  const { heapUsed, counters, resources } = JSON.parse(body)
  return { at: now(), heapUsed, pending: counters.pending, resources }
}

/** Samples a gateway until the load has ended. */
export async function watchUsage(port: number, hasEnded: () => boolean): Promise<Usage[]> {
  const samples: Usage[] = []
  while (!hasEnded()) {
    const usage = await usageOf(port)
    if (usage) samples.push(usage)
    await sleep(EVERY_MS, undefined, { ref: false })
  }
  return samples
}

/** Bytes an hour by which the heap grows behind the warm-up: the slope of the line of least squares. */
export function slopeOf(samples: readonly Usage[]): number {
  const settled = samples.slice(Math.floor(samples.length * WARM_UP))
  const mean = (of: (usage: Usage) => number) => settled.reduce((sum, usage) => sum + of(usage), 0) / settled.length
  const [meanAt, meanHeap] = [mean(({ at }) => at), mean(({ heapUsed }) => heapUsed)]
  let [above, below] = [0, 0]
  for (const { at, heapUsed } of settled) {
    above += (at - meanAt) * (heapUsed - meanHeap)
    below += (at - meanAt) ** 2
  }
  return below === 0 ? 0 : (above / below) * HOUR_MS
}

/** What a gateway has kept that it should have let go of. `before` was seen ahead of the load, `after` behind it. */
export function* leaksOf(samples: readonly Usage[], before: Usage, after: Usage): Generator<string> {
  if (samples.length < LEAST_SAMPLES)
    yield `only ${samples.length} samples, which says nothing; take ${LEAST_SAMPLES} or more`
  const slope = slopeOf(samples)
  if (slope > MOST_BYTES_PER_HOUR) yield `the heap grows by ${(slope / 1e6).toFixed(1)} MB an hour`
  if (after.pending > 0) yield `${after.pending} requests wait that nobody asked for`
  if (after.resources > before.resources + 2) yield `${before.resources} timers and sockets became ${after.resources}`
}
