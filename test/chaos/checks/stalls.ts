import type { History, Stall } from '../history.js'

const BIN_MS = 1000
/** What came while a process was frozen it has to get through afterwards: so long, as a share of the time. */
const LONG_MS = 1000
const BACKLOG = 0.2

/** How long the harness and a gateway stood still in a span of time, which excuses what was late then. */
export class Stalls {
  readonly #bins = new Map<string, Stall[]>()

  constructor({ stalls }: Pick<History, 'stalls'>) {
    for (const stall of stalls.map(withBacklog)) {
      for (let bin = Math.floor(stall.from / BIN_MS); bin <= Math.floor(stall.to / BIN_MS); bin += 1) {
        const key = `${stall.who} ${bin}`
        const known = this.#bins.get(key)
        if (known) known.push(stall)
        else this.#bins.set(key, [stall])
      }
    }
  }

  /** Milliseconds of the span in which the gateway, or the harness, stood still. */
  within(gateway: number, from: number, to: number): number {
    const found = new Set<Stall>()
    for (const who of [gateway, 'harness'] as const) {
      for (let bin = Math.floor(from / BIN_MS); bin <= Math.floor(to / BIN_MS); bin += 1) {
        for (const stall of this.#bins.get(`${who} ${bin}`) ?? []) found.add(stall)
      }
    }
    let total = 0
    let counted = from
    // Both may have stood still at once, which counts once.
    for (const stall of [...found].sort((a, b) => a.from - b.from)) {
      total += Math.max(0, Math.min(stall.to, to) - Math.max(stall.from, counted))
      counted = Math.max(counted, stall.to)
    }
    return total
  }
}

function withBacklog(stall: Stall): Stall {
  const ms = stall.to - stall.from
  return ms < LONG_MS ? stall : { ...stall, to: stall.to + ms * BACKLOG }
}
