/** A part of the system that faults befall. */
export type Part = 'broker' | 'store' | 'gateway' | 'worker'

/** One try of one request. Times are in milliseconds on one clock. */
export interface Try {
  readonly kind: 'try'
  /** What the client wants; all tries with the same number have the same key. */
  readonly n: number
  readonly gateway: number
  /** How long the client, or the gateway by default, lets it wait for the result. */
  readonly waitMs: number
  readonly from: number
  readonly to: number
  /** Undefined when the connection broke before the answer. */
  readonly status?: number | undefined
  /** Of a problem: `not-accepted`, `unknown` or `failed`. */
  readonly outcome?: string | undefined
  /** Of a problem: what it is named after. */
  readonly code?: string | undefined
  /** Of a 202: why it was not answered with its result. */
  readonly because?: string | undefined
  /** The operation, where the answer names one. */
  readonly id?: string | undefined
  /** How the operation ended, where the answer says so: whoever looks must see the same. */
  readonly story?: string | undefined
  readonly error?: string | undefined
}

/** What somebody saw who looked at an operation. */
export interface Look {
  readonly kind: 'look'
  readonly id: string
  readonly gateway: number
  readonly from: number
  readonly to: number
  /** `unseen`: the gateway could not say. */
  readonly seen: 'running' | 'ended' | 'gone' | 'unseen'
  readonly story?: string | undefined
  readonly status?: number | undefined
}

/** A worker has carried out a request. */
export interface Execution {
  readonly kind: 'execution'
  readonly id: string
  readonly n: number
  readonly at: number
}

/**
 * How a part fails. `refused`: nobody can connect, and whoever was connected knows. `silent`: connections stay, and
 * nothing comes back. `blocked`: likewise, and whoever sends is told that nothing is taken. `late`: all works, and
 * takes longer by less than any time-out. `slow`: less gets through than is asked for. `cut`: connections break, and
 * can be made again at once. `half-open`: they break, and nobody is told. `ended`: a process is killed and comes back.
 */
export type Manner = 'refused' | 'silent' | 'blocked' | 'late' | 'slow' | 'cut' | 'half-open' | 'ended'

/**
 * A fault: it began at `begunAt`, was complete from `from` until its healing began at `to`, and from `healedAt` on the
 * part could be reached again.
 */
export interface FaultSpan {
  readonly kind: 'fault'
  readonly name: string
  readonly part: Part
  readonly manner: Manner
  readonly begunAt: number
  readonly from: number
  readonly to: number
  readonly healedAt: number
}

/** A process did not get to run: a frozen gateway, or a machine with too much to do. `harness` is the client itself. */
export interface Stall {
  readonly kind: 'stall'
  readonly who: number | 'harness'
  readonly from: number
  readonly to: number
}

/** A gateway came up, or went down. */
export interface Turn {
  readonly kind: 'up' | 'down'
  readonly gateway: number
  readonly at: number
}

/** A gateway's breaker opened or closed: it knows that a part is out of reach, or back. */
export interface Known {
  readonly kind: 'known'
  readonly gateway: number
  readonly part: 'broker' | 'store'
  readonly isDown: boolean
  readonly at: number
}

/** All that was seen, in no order. */
export type Entry = Try | Look | Execution | FaultSpan | Stall | Turn | Known

/** The entries of a history by their kinds. */
export interface History {
  readonly tries: readonly Try[]
  readonly looks: readonly Look[]
  readonly executions: readonly Execution[]
  readonly faults: readonly FaultSpan[]
  readonly stalls: readonly Stall[]
  readonly turns: readonly Turn[]
  readonly known: readonly Known[]
}

/** Sorts entries by kind; faults by time. */
export function toHistory(entries: readonly Entry[]): History {
  const of = <Kind extends Entry['kind']>(...kinds: readonly Kind[]) =>
    entries.filter((entry): entry is Extract<Entry, { kind: Kind }> =>
      (kinds as readonly string[]).includes(entry.kind),
    )
  return {
    tries: of('try'),
    looks: of('look'),
    executions: of('execution'),
    faults: of('fault').sort((a, b) => a.from - b.from),
    stalls: of('stall'),
    turns: of('up', 'down') as Turn[],
    known: of('known').sort((a, b) => a.at - b.at),
  }
}

/** Milliseconds on one clock for all processes of a machine. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}
