import type { Limits, Rule } from '../checker.js'
import type { FaultSpan, History, Try } from '../history.js'
import { alone, during, faultsOf, shown } from './during.js'
import { Joins } from './joins.js'
import { Knowledge } from './known.js'
import { Stalls } from './stalls.js'

/** For whose sake a 503 is given, by the code of its problem. */
const PART_OF: Readonly<Record<string, 'broker' | 'store'>> = {
  ERR_TRANSPORT_UNAVAILABLE: 'broker',
  ERR_PUBLISH_REJECTED: 'broker',
  ERR_PUBLISH_UNCONFIRMED: 'broker',
  ERR_STORE_UNAVAILABLE: 'store',
}
/** As many requests wait or are kept as may: the limits have nothing to do with faults. */
const LIMITS: ReadonlySet<string | undefined> = new Set(['ERR_OVERLOADED', 'ERR_STORE_FULL'])
const CLOSING: ReadonlySet<string | undefined> = new Set(['ERR_CLOSED', 'ERR_NOT_STARTED'])
/** How parts fail of which whoever calls is told at once, so that a single call can say it. */
const TOLD: ReadonlySet<FaultSpan['manner']> = new Set(['refused', 'blocked', 'cut', 'half-open'])
/** Timers are read a moment apart. */
const GRAIN_MS = 20

/** What excuses a 503. */
class Excuses {
  readonly #history: History
  readonly #limits: Limits
  readonly #knowledge: Knowledge

  constructor(history: History, limits: Limits) {
    this.#history = history
    this.#limits = limits
    this.#knowledge = new Knowledge(history)
  }

  /** Whether it says why, and that was so. */
  has(each: Try): boolean {
    if (LIMITS.has(each.code)) return true
    if (CLOSING.has(each.code)) return this.#wasClosing(each)
    return this.isSilent(each) || this.isKnown(each) || this.#isTold(each)
  }

  /** The gateway knew that the part is out of reach. */
  isKnown(each: Try): boolean {
    const part = PART_OF[each.code ?? '']
    return part !== undefined && this.#knowledge.has(each.gateway, part, each)
  }

  /** The store did not answer in its time, so that nobody knows what it did. */
  isSilent({ code, outcome, from, to }: Try): boolean {
    return (
      PART_OF[code ?? ''] === 'store' && outcome === 'unknown' && to - from >= this.#limits.storeTimeoutMs - GRAIN_MS
    )
  }

  /** The part was gone, or had gone a moment before, and said so. */
  #isTold({ code, from, to }: Try): boolean {
    const isNear = ({ part, manner, begunAt, healedAt }: FaultSpan) =>
      part === PART_OF[code ?? ''] && TOLD.has(manner) && begunAt <= to && from <= healedAt + this.#limits.healMs
    return this.#history.faults.some(isNear)
  }

  #wasClosing({ gateway, to }: Try): boolean {
    const turns = this.#history.turns.filter((turn) => turn.gateway === gateway && turn.at <= to)
    return (
      turns.reduce((last, turn) => (turn.at > last.at ? turn : last), { kind: 'down', at: Number.NEGATIVE_INFINITY })
        .kind === 'down'
    )
  }
}

/** Nobody is refused without need: it is known that a part is down, or it says so, or a limit does. */
function* reasoned(history: History, limits: Limits) {
  const excuses = new Excuses(history, limits)
  for (const each of history.tries) {
    if (each.status === 503 && !excuses.has(each))
      yield `${shown(each)} for ${each.code}, which it did not know, and nothing had told it`
  }
}

/** Who meets silence before that is known has an answer that leaves the matter open; and only then is it refused. */
function* silence(history: History, limits: Limits) {
  const excuses = new Excuses(history, limits)
  const joins = new Joins(history)
  const faults = (['broker', 'store'] as const).flatMap((part) => faultsOf(history, part, 'silent'))
  for (const [{ name, part }, each] of during(history, faults)) {
    if (part === 'broker' && joins.has(each)) continue
    const isMeant = PART_OF[each.code ?? ''] === part
    if (each.status === 503 && isMeant && !excuses.isKnown(each) && !excuses.isSilent(each))
      yield `${shown(each)} before the silence was known (${name})`
    const isOpen = each.because === 'unconfirmed' || each.because === 'overload'
    if (each.status === 202 && part === 'broker' && !isOpen)
      yield `${shown(each)} for ${each.because}, although nothing could be confirmed (${name})`
  }
}

/**
 * Silence is known by calls that have not been answered in their time, and not before. Some may have been under way when
 * it began, but not for long where all was well.
 */
function* early(history: History, { storeTimeoutMs, publishTimeoutMs }: Limits) {
  const leastMs = { store: storeTimeoutMs / 2, broker: publishTimeoutMs / 2 }
  for (const part of ['broker', 'store'] as const) {
    for (const { name, begunAt } of alone(history, faultsOf(history, part, 'silent'))) {
      for (const { gateway, at, ...known } of history.known) {
        const afterMs = at - begunAt
        if (known.part !== part || !known.isDown || afterMs < 0 || afterMs >= leastMs[part]) continue
        yield `gateway ${gateway} took the ${part} for lost ${Math.round(afterMs)} ms after it went silent (${name})`
      }
    }
  }
}

/** What works, and takes longer by less than any time-out, is no reason to refuse anybody, or to take it for lost. */
function* late(history: History, { storeTimeoutMs, publishTimeoutMs }: Limits) {
  const stalls = new Stalls(history)
  const faults = (['broker', 'store'] as const).flatMap((part) => faultsOf(history, part, 'late'))
  for (const [{ name }, each] of during(history, faults)) {
    // A gateway that stands still takes everything for silent.
    const isExcused = stalls.within(each.gateway, each.from, each.to) > 0
    if (each.status === 503 && !LIMITS.has(each.code) && !isExcused) yield `${shown(each)}, while the ${name}`
  }
  const timeoutMs = Math.max(storeTimeoutMs, publishTimeoutMs)
  for (const { name, from, to } of alone(history, faults)) {
    for (const { gateway, part, isDown, at } of history.known) {
      const isInside = isDown && at >= from && at <= to
      if (isInside && stalls.within(gateway, at - timeoutMs, at) === 0)
        yield `gateway ${gateway} took the ${part} for lost, while the ${name}`
    }
  }
}

/** Whether those who were refused had to be. */
export const unavailableRules = {
  'a 503 has its reason': reasoned,
  'silence leaves the matter open until it is known': silence,
  'silence is known when its time is up': early,
  'what is late is not out of reach': late,
} satisfies Record<string, Rule>
