import type { Operation } from '../../../src/index.js'
import type { History, Queued, Sighting } from './history.js'

/** What there is to judge once everything is quiet. */
export interface Evidence {
  readonly history: History
  /** How every operation stands in the store at the end. */
  readonly last: ReadonlyMap<string, Operation | undefined>
  /** How long a request may take that does not wait for longer. */
  readonly answerMs: number
  /** Whether operations live so long that none may expire. */
  readonly isLongLived: boolean
}

const GRACE_MS = 250

/** Everything in the history that must not be. */
export function violationsOf(evidence: Evidence): string[] {
  const checks = [lost, stories, keys, refusals, answers, orders]
  return checks.flatMap((check) => [...check(evidence)])
}

/** What was accepted ends. */
function* lost({ history, last, isLongLived }: Evidence) {
  for (const [id, operation] of last) {
    if (operation === undefined && history.accepted.has(id)) yield `${id} was accepted and is gone`
    if (operation?.state === 'running') yield `${id} never ended`
    if (operation?.state === 'expired' && isLongLived) yield `${id} expired`
  }
  for (const id of history.accepted) if (!last.has(id)) yield `${id} was accepted and never made`
}

/** The first end stands, everywhere and for ever; nobody who looks later sees less. */
function* stories({ history, last }: Evidence) {
  const byId = group(history.sightings)
  for (const [id, sightings] of byId) {
    for (const seen of sightings) {
      if (isEnd(seen.operation) && storyOf(seen.operation) !== storyOf(last.get(id))) {
        yield `${id}: ${storyOf(seen.operation)} was seen, and it is ${storyOf(last.get(id))}`
      }
      for (const later of sightings) if (later.startedAt >= seen.endedAt) yield* stepsBack(seen, later)
    }
  }
}

function group(sightings: readonly Sighting[]): Map<string, Sighting[]> {
  const groups = new Map<string, Sighting[]>()
  for (const sighting of sightings) groups.set(sighting.id, [...(groups.get(sighting.id) ?? []), sighting])
  return groups
}

function* stepsBack({ id, operation: seen }: Sighting, { operation: later }: Sighting) {
  if (seen === undefined) return
  if (later === undefined) yield `${id} was seen, and later it was not there`
  else if (isEnd(seen) && later.state === 'running') yield `${id} was ${seen.state}, and later running`
  else if (later.version < seen.version) yield `${id} had version ${seen.version}, and later ${later.version}`
}

/** One key is one operation, and one operation is one message. */
function* keys({ history }: Evidence) {
  const ran = new Map<string, Set<string>>()
  const keyOf = new Map(history.tries.map(({ n, key }) => [n, key]))
  for (const [id, { n, messageIds }] of history.executed) {
    if (messageIds.size > 1) yield `${id} was published under ${messageIds.size} message ids`
    const key = keyOf.get(n)
    if (key !== undefined) ran.set(key, (ran.get(key) ?? new Set()).add(id))
  }
  for (const [key, ids] of ran) if (ids.size > 1) yield `${key} was carried out as ${ids.size} operations`
}

/** What was refused was not carried out. */
function* refusals({ history, last }: Evidence) {
  for (const id of history.executed.keys()) {
    const operation = last.get(id)
    if (operation?.error?.code === 'ERR_PUBLISH_REJECTED') yield `${id} was refused and carried out`
    if (operation?.error?.code === 'ERR_CLOSED') yield `${id} was taken back and carried out`
  }
  const ran = new Set([...history.executed.values()].map(({ n }) => n))
  const hopes = new Set(history.tries.filter(({ end }) => end !== 'not-accepted').map(({ n }) => n))
  for (const { n } of history.tries) if (ran.has(n) && !hopes.has(n)) yield `request ${n} was refused and carried out`
}

/** Everybody gets an answer, a foreseen one, and in time. */
function* answers({ history, answerMs }: Evidence) {
  for (const { n, waitMs, startedAt, endedAt, stillMs = 0, end, error } of history.tries) {
    if (endedAt === undefined) yield `request ${n} was never answered`
    else if (end === 'failed') yield `request ${n} has failed: ${error}`
    else if (end !== 'lost' && endedAt - startedAt - stillMs > Math.max(waitMs, answerMs) + GRACE_MS) {
      yield `request ${n}, which would wait ${waitMs} ms, was answered (${end}) after ${endedAt - startedAt} ms`
    }
  }
}

/**
 * What has one key and one gateway reaches the broker in order, unless it was taken on at the same time. One that ended
 * without a result, canceled or expired, while its publish was on its way holds nobody up from then on.
 */
function* orders({ history }: Evidence) {
  const places = new Map([...history.published.keys()].map((id, place) => [id, place]))
  const placeOf = ({ id }: Queued) => places.get(id) ?? Number.NaN
  const isOver = (first: Queued, second: Queued) => {
    const at = history.published.get(second.id) ?? Number.NaN
    return history.sightings.some(({ id, startedAt, operation }) => {
      return id === first.id && startedAt <= at && isEnd(operation) && operation?.result === undefined
    })
  }
  for (const [queue, operations] of history.queues) {
    for (const first of operations) {
      for (const second of operations) {
        const isBehind = first.takenAt < second.askedAt && placeOf(second) < placeOf(first)
        const isEarly = isBehind && !isOver(first, second)
        if (isEarly) yield `${second.id} overtook ${first.id} in ${queue}`
      }
    }
  }
}

function isEnd(operation: Operation | undefined): boolean {
  return operation !== undefined && operation.state !== 'running'
}

function storyOf(operation: Operation | undefined): string {
  return operation === undefined ? 'gone' : `${operation.state} by ${operation.result?.id ?? operation.error?.code}`
}
