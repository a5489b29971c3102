import { PATIENCE_MS, type Subject } from './spec.js'

/** How many requests to keep under way, and for how long. */
export interface Load {
  readonly inFlight: number
  readonly seconds: number
}

/** What one round came to. */
export interface Row {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  readonly cpuPerThousand: number
  /** The share of the requests that nobody answered. */
  readonly lost: number
}

/** Keeps so many requests under way for a time. Those that are lost do not count for the rate. */
export async function load({ ask }: Subject, { inFlight, seconds }: Load): Promise<Row> {
  const latencies: number[] = []
  let lost = 0
  const before = process.cpuUsage()
  const start = performance.now()
  const end = start + seconds * 1000
  let last = start
  const loop = async (): Promise<void> => {
    while (performance.now() < end) {
      const from = performance.now()
      if ((await ask({ username: 'ada' })) === undefined) {
        lost += 1
        continue
      }
      last = performance.now()
      latencies.push(last - from)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  const { user, system } = process.cpuUsage(before)
  latencies.sort((a, b) => a - b)
  const answered = latencies.length
  const at = (share: number): number => latencies[Math.floor(share * answered)] ?? PATIENCE_MS
  // Who waits for what is lost is idle after the time is over: the last answer ends the round.
  const rate = answered / (Math.max(last - start, seconds * 1000) / 1000)
  return {
    ...{ rate, p50: at(0.5), p99: at(0.99) },
    cpuPerThousand: (user + system) / 1000 / answered,
    lost: lost / (lost + answered),
  }
}
