import type { Limits, Rule } from '../checker.js'
import type { History } from '../history.js'
import { during, faultsOf, shown, tookMs } from './during.js'
import { Joins } from './joins.js'
import { knownSpans } from './known.js'
import { Stalls } from './stalls.js'

/** Everything that a gateway may answer; 409 is the worker's negative answer. */
const FORESEEN = new Set([201, 202, 409, 429, 503])
/** Connections need a moment to notice that nobody is there. */
const NOTICE_MS = 250

/** Everybody gets an answer, and in time. A broken connection is an answer of the network. */
function* inTime(history: History, { storeTimeoutMs, publishTimeoutMs, graceMs }: Limits) {
  const stalls = new Stalls(history)
  for (const each of history.tries) {
    if (each.error === 'TIMEOUT') yield `request ${each.n} got no answer of gateway ${each.gateway} at all`
    if (each.status === undefined) continue
    const limit = Math.max(each.waitMs, storeTimeoutMs + publishTimeoutMs) + graceMs
    const took = tookMs(each, stalls)
    if (took > limit) yield `${shown(each)} after ${Math.round(took)} ms, with a wait of ${each.waitMs} ms`
  }
}

function* foreseen({ tries }: History) {
  for (const each of tries) {
    if (each.status !== undefined && !FORESEEN.has(each.status)) yield shown(each)
  }
}

/** Broker or store refused: 503 at once. */
function* refused(history: History, { graceMs }: Limits) {
  const stalls = new Stalls(history)
  const joins = new Joins(history)
  const faults = [...faultsOf(history, 'broker', 'refused'), ...faultsOf(history, 'store', 'refused')]
  for (const [fault, each] of during(history, faults)) {
    if (each.from < fault.from + NOTICE_MS || (fault.part === 'broker' && joins.has(each))) continue
    const took = tookMs(each, stalls)
    if (each.status !== 503) yield `${shown(each)} although the ${fault.part} was away (${fault.name})`
    else if (took > graceMs) yield `${shown(each)} after ${Math.round(took)} ms, while the ${fault.name}`
  }
}

/** Store silent: 503 when its time is up. */
function* silentStore(history: History, { storeTimeoutMs, graceMs }: Limits) {
  const stalls = new Stalls(history)
  for (const [fault, each] of during(history, faultsOf(history, 'store', 'silent'))) {
    const took = tookMs(each, stalls)
    if (each.status !== 503) yield `${shown(each)} although the store was silent (${fault.name})`
    else if (took > storeTimeoutMs + graceMs)
      yield `${shown(each)} after ${Math.round(took)} ms, while the ${fault.name}`
  }
}

/** Broker silent: 202 when its time is up; 503 once that is known. */
function* silentBroker(history: History, { publishTimeoutMs, graceMs }: Limits) {
  const stalls = new Stalls(history)
  const joins = new Joins(history)
  for (const [fault, each] of during(history, faultsOf(history, 'broker', 'silent', 'blocked'))) {
    if (joins.has(each)) continue
    const took = tookMs(each, stalls)
    if (each.status !== 202 && each.status !== 503 && each.story === undefined) yield `${shown(each)}, ${fault.name}`
    else if (took > publishTimeoutMs + graceMs)
      yield `${shown(each)} after ${Math.round(took)} ms, while the ${fault.name}`
  }
}

/** Known to be down: refused at once, but for the one call a second that finds out whether it is back. */
function* knownDown(history: History, { graceMs }: Limits) {
  const stalls = new Stalls(history)
  const joins = new Joins(history)
  for (const { gateway, from, to, part } of knownSpans(history).filter(({ isHealed }) => isHealed)) {
    const slow = history.tries.filter(
      (each) =>
        each.gateway === gateway &&
        each.from >= from + NOTICE_MS &&
        each.to <= to &&
        each.status !== undefined &&
        tookMs(each, stalls) > graceMs &&
        !(part === 'broker' && joins.has(each)),
    )
    const probes = Math.ceil((to - from) / 1000) + 1
    if (slow.length > probes)
      yield `gateway ${gateway} knew the ${part} down for ${Math.round(to - from)} ms and was slow ${slow.length} times`
  }
}

/** What clients are answered, and when. */
export const answerRules = {
  'every request is answered in time': inTime,
  'every answer is foreseen': foreseen,
  'a part that refuses is a 503 at once': refused,
  'a silent store is a 503 in time': silentStore,
  'a silent broker is a 202 or 503 in time': silentBroker,
  'what is known to be down is refused at once': knownDown,
} satisfies Record<string, Rule>
