import { violationsOf } from '../../chaos/checker.js'
import { type Entry, type FaultSpan, type Look, type Try, toHistory } from '../../chaos/history.js'

export const LIMITS = { storeTimeoutMs: 1000, publishTimeoutMs: 1000, graceMs: 250, healMs: 5000, gateways: 1 }
export const FAULT_AT = 100_000
export const HEALED_AT = 110_000

/** A try that had its result at once. */
export function attempt(n: number, given: Partial<Try> = {}): Try {
  const from = given.from ?? n * 100
  const done = { status: 201, id: `op-${n}`, story: `201 by ${n}` }
  return { kind: 'try', n, gateway: 0, waitMs: 2000, from, to: from + 20, ...done, ...given }
}

/** One that was refused at a limit. */
export function refusal(n: number, given: Partial<Try> = {}): Try {
  return attempt(n, {
    status: 503,
    outcome: 'not-accepted',
    code: 'ERR_OVERLOADED',
    id: undefined,
    story: undefined,
    ...given,
  })
}

/** A 202, of which nothing is known but the promise. */
export function promise(n: number, given: Partial<Try> = {}): Try {
  return attempt(n, { status: 202, story: undefined, ...given })
}

/** Somebody who sees how an operation has ended. */
export function look(n: number, given: Partial<Look> = {}): Look {
  const from = given.from ?? 50_000
  return { kind: 'look', id: `op-${n}`, gateway: 0, from, to: from + 5, seen: 'ended', story: `201 by ${n}`, ...given }
}

/** A broker that is away for ten seconds. */
export function fault(given: Partial<FaultSpan> = {}): FaultSpan {
  const times = { begunAt: given.from ?? FAULT_AT, from: FAULT_AT, to: HEALED_AT - 1000, healedAt: HEALED_AT }
  return { kind: 'fault', name: 'broker away', part: 'broker', manner: 'refused', ...times, ...given }
}

/** All is well, before a fault and behind it. */
const WELL: readonly Entry[] = [
  { kind: 'up', gateway: 0, at: 0 },
  ...Array.from({ length: 5 }, (_, n) => attempt(n)),
  ...Array.from({ length: 5 }, (_, n) => attempt(1000 + n, { from: HEALED_AT + 100 + n })),
  ...Array.from({ length: 5 }, (_, n) => ({ kind: 'execution', id: `op-${n}`, n, at: 0 }) as const),
]

/** The rules that the history breaks, once each. */
export function broken(...entries: readonly Entry[]): string[] {
  const violations = violationsOf(toHistory([...WELL, ...entries]), LIMITS)
  return [...new Set(violations.map(({ rule }) => rule))]
}

/** A promise of which it is open whether the broker has the request, and which is kept. */
export function unconfirmed(n: number, given: Partial<Try> = {}): Entry[] {
  return [promise(n, { because: 'unconfirmed', ...given }), look(n, { from: HEALED_AT })]
}

/** A gateway says that it knows a part to be lost, or back. */
export function known(part: 'broker' | 'store', isDown: boolean, at: number): Entry {
  return { kind: 'known', gateway: 0, part, isDown, at }
}

/** A gateway stood still. */
export function stall(who: number, from: number, to: number): Entry {
  return { kind: 'stall', who, from, to }
}

/** A part that is silent for ten seconds. */
export function silent(part: 'broker' | 'store'): FaultSpan {
  return fault({ part, manner: 'silent' })
}
