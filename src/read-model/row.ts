import { GatewayError } from '../core/errors.js'
import { copyHeaders, type EventMessage } from '../core/event.js'
import { type KeyedEvent, type Projection, readEvent } from './projection.js'

/** What is known under one key. Rows are immutable: an event makes a new one. */
export interface Row {
  /** Undefined when the last event deleted it; the row stays, so that an old event cannot bring it back. */
  readonly state: unknown
  /** The number of the last event, where events are numbered; else 0. */
  readonly sequence: number
  /** When the last event happened, in milliseconds since the epoch. */
  readonly time: number
  /** The ids of the newest events, oldest first: a redelivery is known by them. */
  readonly seen: readonly string[]
  /** Events that came before their predecessors. */
  readonly waiting: readonly EventMessage[]
  /** In a shared copy, the term of the keeper that has written it. */
  readonly term?: number
}

/** `applied`: it changed the row; `known`: it has before; `waiting`: for its predecessor; `poison`: it cannot be folded. */
export type Verdict = 'applied' | 'known' | 'waiting' | 'poison'

/** What an event made of a row. */
export interface Folded {
  readonly row: Row
  readonly verdict: Verdict
  /** Events that could not be folded, this one or others that had waited for it. */
  readonly poison: readonly { readonly message: EventMessage; readonly error: unknown }[]
}

/**
 * Ids kept in a row: events come again soon, or behind a position from which the whole row is made anew, or, in a shared
 * copy, behind one that is stored before a row has had so many more.
 */
export const SEEN_LIMIT = 32
/** Beyond, the predecessor is taken for lost, and what waits is folded without it. */
const WAITING_LIMIT = 100

const EMPTY: Row = { state: undefined, sequence: 0, time: 0, seen: [], waiting: [] }

/**
 * Folds an event into the row of its key: once, and in the order of the numbers, however often and in whatever order
 * events come.
 */
export async function fold(projection: Projection, known: Row | undefined, reading: KeyedEvent): Promise<Folded> {
  const row = known ?? EMPTY
  const { event, sequence } = reading
  if (row.seen.includes(event.id) || isBefore(row, reading)) return { row, verdict: 'known', poison: [] }
  if (sequence === undefined || sequence === row.sequence + 1 || projection.definition.gaps === 'skip') {
    return catchUp(projection, step(projection, row, reading))
  }
  if (row.waiting.some(({ id }) => id === event.id)) return { row, verdict: 'waiting', poison: [] }
  const waiting = [...row.waiting, toPlain(event)]
  const held: Folded = { row: { ...row, waiting }, verdict: 'waiting', poison: [] }
  return waiting.length > WAITING_LIMIT ? catchUp(projection, held, true) : held
}

/** By its number; or, in a row that was loaded and had no event yet, by its time. */
function isBefore(row: Row, { event, sequence }: KeyedEvent): boolean {
  if (sequence !== undefined) return sequence <= row.sequence
  return row.seen.length === 0 && row.time > 0 && event.time <= row.time
}

/** True when the row has this event, or is beyond it. */
export function isAt(row: Row | undefined, { event, sequence }: KeyedEvent): boolean {
  if (row === undefined) return false
  if (row.seen.includes(event.id)) return true
  if (sequence !== undefined) return sequence <= row.sequence
  return row.seen.length >= SEEN_LIMIT && event.time <= row.time
}

/** A row as it was before the first event that a read model has seen. */
export function baseRow(state: unknown, { sequence = 0, time = 0 }: { sequence?: number; time?: number } = {}): Row {
  return { ...EMPTY, state, sequence, time }
}

function step(projection: Projection, row: Row, { event, error: unread, sequence = row.sequence }: KeyedEvent): Folded {
  const seen = [...row.seen, event.id].slice(-SEEN_LIMIT)
  const next = { ...row, sequence, seen }
  try {
    if (unread !== undefined) throw unread
    const state = foldOf(projection, event.type)(row.state, event)
    if (state instanceof Promise) throw new GatewayError('ERR_CONFIG', 'A fold must not be asynchronous.')
    return { row: { ...next, state, time: Math.max(row.time, event.time) }, verdict: 'applied', poison: [] }
  } catch (error) {
    // Its number is used up all the same, so that its successors do not wait for it.
    return { row: next, verdict: 'poison', poison: [{ message: toPlain(event), error }] }
  }
}

/** Folds what has waited and can go on now; with `force`, also what would have to wait longer. */
async function catchUp(projection: Projection, folded: Folded, force = false): Promise<Folded> {
  if (folded.row.waiting.length === 0) return folded
  let { row } = folded
  const poison = [...folded.poison]
  const queue = await Promise.all(row.waiting.map((message) => readEvent(projection, message)))
  queue.sort((a, b) => (a.sequence ?? 0) - (b.sequence ?? 0))
  for (const reading of queue) {
    const { sequence = 0 } = reading
    if (!force && sequence > row.sequence + 1) break
    const waiting = row.waiting.filter(({ id }) => id !== reading.event.id)
    // Somebody may have numbered two events alike: the first one stands.
    const next = sequence <= row.sequence ? { row, poison: [] } : step(projection, row, reading)
    row = { ...next.row, waiting }
    poison.push(...next.poison)
  }
  return { row, verdict: folded.verdict === 'waiting' ? 'applied' : folded.verdict, poison }
}

function foldOf({ definition }: Projection, type: string) {
  const fold = definition.on[type]
  if (fold === undefined) throw new GatewayError('ERR_CONFIG', `The projection has no fold for ${type}.`)
  return fold
}

function toPlain(event: KeyedEvent['event']): EventMessage {
  const { id, type, source, time, correlationId, causationId, key, headers, contentType, body } = event
  return { id, type, source, time, correlationId, causationId, key, headers, contentType, body }
}

/** A row as JSON text. */
export function encodeRow(row: Row): string {
  const waiting = row.waiting.map((message) => ({ ...message, body: Buffer.from(message.body).toString('base64') }))
  return JSON.stringify({ ...row, waiting })
}

/** The row that `encodeRow` has written; what JSON has no form for is not in it. */
export function decodeRow(text: string): Row {
  const row = JSON.parse(text) as Row
  const waiting = row.waiting.map((message) => {
    return { ...message, headers: copyHeaders(message.headers), body: Buffer.from(String(message.body), 'base64') }
  })
  return { ...row, state: row.state, waiting }
}
