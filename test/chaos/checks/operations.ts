import type { Rule } from '../checker.js'
import type { History, Look, Try } from '../history.js'

/** A view of an operation: of who asked for it, or of who looked later. */
interface View {
  readonly from: number
  readonly to: number
  readonly seen: Look['seen']
  readonly story?: string | undefined
}

/** A client was told that this is on its way, or done. */
function isAccepted({ status, id }: Try): boolean {
  return id !== undefined && status !== undefined && status !== 503 && status !== 504 && status !== 429
}

/** Operations that clients were promised. */
export function acceptedIds({ tries }: Pick<History, 'tries'>): Set<string> {
  return new Set(tries.filter(isAccepted).map(({ id }) => String(id)))
}

function viewsOf({ tries, looks }: History): Map<string, View[]> {
  const views = new Map<string, View[]>()
  const add = (id: string, view: View) => {
    const known = views.get(id)
    if (known) known.push(view)
    else views.set(id, [view])
  }
  for (const each of tries.filter(isAccepted)) {
    add(String(each.id), { ...each, seen: each.story === undefined ? 'running' : 'ended' })
  }
  for (const look of looks) if (look.seen !== 'unseen') add(look.id, look)
  return views
}

/** What was accepted ends, by an answer of a worker, and is there for who looks last. */
function* lost(history: History) {
  const views = viewsOf(history)
  for (const id of acceptedIds(history)) {
    const last = [...(views.get(id) ?? [])].sort((a, b) => a.to - b.to).at(-1)
    if (last === undefined || last.seen === 'running') yield `${id} was accepted, and never ended`
    else if (last.seen === 'gone') yield `${id} was accepted, and is gone`
    else if (!last.story?.includes('by ')) yield `${id} was accepted, and ended without its worker: ${last.story}`
  }
}

/** The first end stands, for every reader; and nobody who looks later sees less. */
function* stories(history: History) {
  for (const [id, views] of viewsOf(history)) {
    const told = new Set(views.filter(({ seen }) => seen === 'ended').map(({ story }) => story))
    if (told.size > 1) yield `${id} ended in ${told.size} ways: ${[...told].join(' | ')}`
    const ends = views.filter(({ seen }) => seen === 'ended').map(({ to }) => to)
    const firstEnd = Math.min(...ends)
    const back = views.find(({ seen, from }) => seen !== 'ended' && from >= firstEnd)
    if (back) yield `${id} had ended, and ${Math.round(back.from - firstEnd)} ms later was ${back.seen}`
  }
}

/** One key is one operation, for clients and workers. */
function* keys(history: History) {
  const ids = new Map<number, Set<string>>()
  const add = (n: number, id: string) => ids.set(n, (ids.get(n) ?? new Set()).add(id))
  for (const each of history.tries) if (isAccepted(each)) add(each.n, String(each.id))
  for (const { n, id } of history.executions) add(n, id)
  for (const [n, found] of ids) if (found.size > 1) yield `request ${n} became ${found.size} operations: ${[...found]}`
}

/** What was refused, each time, was not carried out. */
function* refusals({ tries, executions }: History) {
  const hopes = new Set(tries.filter((each) => !isRefused(each)).map(({ n }) => n))
  const asked = new Set(tries.map(({ n }) => n))
  for (const { n, id } of executions) {
    if (asked.has(n) && !hopes.has(n)) yield `request ${n} was only ever refused, and carried out as ${id}`
  }
}

/** A client was told that nothing will come of this try. */
export function isRefused({ status, outcome }: Try): boolean {
  return status === 429 || (status === 503 && outcome === 'not-accepted')
}

/** What becomes of operations. */
export const operationRules = {
  'nothing accepted is lost': lost,
  'the first end stands for every reader': stories,
  'one key is one operation': keys,
  'what was refused is not carried out': refusals,
} satisfies Record<string, Rule>
