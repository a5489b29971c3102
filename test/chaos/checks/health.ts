import type { Limits, Rule } from '../checker.js'
import type { History, Try } from '../history.js'
import { Stalls } from './stalls.js'

/** The whole way: to a worker and back, while the client waited. */
function isSuccess({ status, story }: Try): boolean {
  return story !== undefined && (status === 201 || status === 409)
}

/** The time of the first success of a gateway behind `from`. */
export function firstSuccess(history: Pick<History, 'tries'>, gateway: number, from: number): number | undefined {
  let first: number | undefined
  for (const each of history.tries) {
    if (each.gateway !== gateway || each.from < from || !isSuccess(each)) continue
    if (first === undefined || each.to < first) first = each.to
  }
  return first
}

/** A gateway that runs is of use again soon after what was broken is back. */
function* heals(history: History, { healMs, gateways }: Limits) {
  const stalls = new Stalls(history)
  for (const [index, { name, healedAt }] of history.faults.entries()) {
    const nextAt = history.faults[index + 1]?.from ?? Number.POSITIVE_INFINITY
    for (let gateway = 0; gateway < gateways; gateway += 1) {
      const turned = history.turns.some(
        (turn) => turn.gateway === gateway && turn.at > healedAt - 1 && turn.at < healedAt + healMs,
      )
      // Its own end, or the next fault, may come first.
      if (turned || !wasUp(history, gateway, healedAt)) continue
      const first = firstSuccess(history, gateway, healedAt)
      const until = first ?? nextAt
      const tookMs = Math.round(
        until - healedAt - (Number.isFinite(until) ? stalls.within(gateway, healedAt, until) : 0),
      )
      if (tookMs > healMs) yield `gateway ${gateway} took ${tookMs} ms to its first success after the ${name}`
    }
  }
}

function wasUp({ turns }: History, gateway: number, at: number): boolean {
  const before = turns.filter((turn) => turn.gateway === gateway && turn.at <= at).sort((a, b) => a.at - b.at)
  return before.at(-1)?.kind === 'up'
}

const LAST = 5

/** Behind the last fault all gateways are well: a run in which nothing works would break no other rule. */
function* endsWell({ tries }: History, { gateways }: Limits) {
  for (let gateway = 0; gateway < gateways; gateway += 1) {
    const last = tries
      .filter((each) => each.gateway === gateway)
      .sort((a, b) => a.from - b.from)
      .slice(-LAST)
    const bad = last.filter((each) => each.status === undefined || ![201, 202, 409].includes(each.status))
    if (last.length < LAST) yield `gateway ${gateway} got ${last.length} requests in all`
    else if (bad.length > 0)
      yield `gateway ${gateway} was not well at the end: ${bad.map(({ status, error }) => status ?? error)}`
  }
}

/** Whether gateways are well again. */
export const healthRules = {
  'a healed part is of use within its time': heals,
  'all gateways are well at the end': endsWell,
} satisfies Record<string, Rule>
