import type { EventMessage } from '../../core/event.js'
import type { ReplyNote } from '../../core/profile.js'

/** What a profile has found in a message that is not native: the rest is read as ever. */
export type Found = Partial<
  Pick<EventMessage, 'id' | 'type' | 'correlationId' | 'reply' | 'body' | 'contentType' | 'headers'>
>

/** An answer that is a value, and the only one. */
export const VALUE: ReplyNote = Object.freeze({ isLast: true, isEmpty: false })

/** An answer that is a value, and may be one of several. */
export const ONE_VALUE: ReplyNote = Object.freeze({ isLast: false, isEmpty: false })

const NULL = Buffer.from('null')

/** An answer without a value: its data are `null`. */
export function nothing(reply: Omit<ReplyNote, 'isEmpty'>): Found {
  return { reply: { ...reply, isEmpty: true }, body: NULL, contentType: 'application/json' }
}

/** One of several values that says nothing; clients are shown `null`. */
export const UNDEFINED: Found = Object.freeze({ ...nothing({ isLast: false }), reply: ONE_VALUE })

/** A header in either of its two forms. */
export function headerText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : undefined
}

/**
 * The correlation id among headers that other stacks copy, the most specific first. Spring writes a header that is no
 * text as JSON, a UUID in quotes, and says so in another header.
 */
export function correlationOf(get: (name: string) => string | undefined, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = get(name)
    if (value !== undefined && value !== '') return get('spring_json_header_types') ? unquoted(value) : value
  }
  return undefined
}

function unquoted(value: string): string {
  return /^"[^"\\]*"$/.test(value) ? value.slice(1, -1) : value
}

/**
 * Headers of any stack that carry the id on an event which the worker publishes by itself. The one that the user names
 * comes before those that are guessed, as they may hold some other id.
 */
export function copiedHeaders(named: string | undefined): readonly string[] {
  return named === undefined ? COPIED : [named, ...COPIED]
}

const COPIED = ['correlationid', 'correlation-id', 'x-correlation-id', 'correlationId', 'correlation_id'] as const
