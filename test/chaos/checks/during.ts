import type { FaultSpan, History, Try } from '../history.js'
import type { Stalls } from './stalls.js'

/** Milliseconds that an answer took, without those in which somebody stood still. */
export function tookMs({ from, to, gateway }: Try, stalls: Stalls): number {
  return to - from - stalls.within(gateway, from, to)
}

/** A try as violations name it. */
export function shown({ n, gateway, status, outcome }: Try): string {
  return `request ${n} was answered ${status}${outcome ? ` ${outcome}` : ''} by gateway ${gateway}`
}

/** The faults of a part that were like this. */
export function faultsOf(
  { faults }: Pick<History, 'faults'>,
  part: FaultSpan['part'],
  ...manners: readonly FaultSpan['manner'][]
): FaultSpan[] {
  return faults.filter((fault) => fault.part === part && manners.includes(fault.manner))
}

/** Those of the faults during which there was no other. */
export function alone(history: Pick<History, 'faults'>, faults: readonly FaultSpan[]): FaultSpan[] {
  const isOther = (fault: FaultSpan, other: FaultSpan) =>
    other !== fault && other.begunAt < fault.to && other.healedAt > fault.begunAt
  return faults.filter((fault) => !history.faults.some((other) => isOther(fault, other)))
}

/** What began and was answered while this fault, and no other, was there. */
export function* during(
  history: Pick<History, 'faults' | 'tries'>,
  faults: readonly FaultSpan[],
): Generator<[FaultSpan, Try]> {
  for (const fault of alone(history, faults)) {
    for (const each of history.tries) {
      const isInside = each.from >= fault.from && each.to <= fault.to
      if (isInside && each.status !== undefined) yield [fault, each]
    }
  }
}
