import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './history.js'
import { ask } from './http.js'

/** What a gateway uses at a time, behind a collection of garbage. */
export interface Usage {
  readonly at: number
  readonly heapUsed: number
  /** Requests that wait. */
  readonly pending: number
  /** The kinds of the timers, sockets and the like that keep the process alive. */
  readonly resources: readonly string[]
  /** The most that listen to one event of one emitter. */
  readonly listeners: number
}

const EVERY_MS = 10_000
const REST_MS = 30_000
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
  const { heapUsed, counters, resources, listeners } = JSON.parse(body)
  return { at: now(), heapUsed, pending: counters.pending, resources, listeners }
}

/** What a gateway uses when all has been quiet for a while: pools and servers let go of idle connections by and by. */
export async function usageAtRest(port: number, before: Usage): Promise<Usage | undefined> {
  const until = now() + REST_MS
  for (;;) {
    const usage = await usageOf(port)
    if (usage === undefined || now() > until) return usage
    if (usage.pending === 0 && usage.resources.length <= before.resources.length) return usage
    await sleep(1000)
  }
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

/** What a gateway used, in a line. */
export function usageText(samples: readonly Usage[], before: Usage, after: Usage): string {
  const heap = [before, after].map(({ heapUsed }) => (heapUsed / 1e6).toFixed(1)).join(' -> ')
  const slope = (slopeOf(samples) / 1e6).toFixed(2)
  const resources = `${before.resources.length} -> ${after.resources.length} timers and sockets`
  const listeners = `${before.listeners} -> ${after.listeners} listeners to one event`
  const rest = `${resources}${more(before, after)}, ${listeners}, ${after.pending} wait`
  return `heap ${heap} MB, ${slope} MB an hour behind the warm-up, ${rest}`
}

/** What a gateway has kept that it should have let go of. `before` was seen ahead of the load, `after` behind it. */
export function* leaksOf(samples: readonly Usage[], before: Usage, after: Usage): Generator<string> {
  if (samples.length < LEAST_SAMPLES)
    yield `only ${samples.length} samples, which says nothing; take ${LEAST_SAMPLES} or more`
  const slope = slopeOf(samples)
  if (slope > MOST_BYTES_PER_HOUR) yield `the heap grows by ${(slope / 1e6).toFixed(1)} MB an hour`
  if (after.pending > 0) yield `${after.pending} requests wait that nobody asked for`
  const [had, has] = [before.resources.length, after.resources.length]
  if (has > had + 2) yield `${had} timers and sockets became ${has}${more(before, after)}`
  if (after.listeners > before.listeners + 2)
    yield `${before.listeners} listeners to one event became ${after.listeners}`
}

/** Of which kinds there are more now. */
function more(before: Usage, after: Usage): string {
  const count = ({ resources }: Usage, kind: string) => resources.filter((each) => each === kind).length
  const grown = [...new Set(after.resources)].filter((kind) => count(after, kind) > count(before, kind))
  const texts = grown.map((kind) => `${kind} ${count(before, kind)} -> ${count(after, kind)}`)
  return texts.length === 0 ? '' : ` (${texts.join(', ')})`
}
