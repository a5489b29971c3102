/** A place in a header value. The readers below move it forward only, so that every parse is linear; none of them throws. */
export interface Cursor {
  readonly text: string
  at: number
}

const TOKEN = /[!#$%&'*+\-.^_`|~\w]*/y
const WHOLE_TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/
const FIELD_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/

/** Tells whether a text is a token, and so can be a field name or stand without quotes. */
export function isToken(text: string): boolean {
  return WHOLE_TOKEN.test(text)
}

/** Tells whether a header can carry a text as it is: latin1 without control characters but the tab. */
export function isFieldText(text: string): boolean {
  return FIELD_TEXT.test(text)
}

function skipSpace(cursor: Cursor): void {
  while (cursor.text[cursor.at] === ' ' || cursor.text[cursor.at] === '\t') cursor.at += 1
}

/** Moves behind `char` when it is the next one, and says whether it was. */
export function skipChar(cursor: Cursor, char: string): boolean {
  if (cursor.text[cursor.at] !== char) return false
  cursor.at += 1
  return true
}

/** Reads a token (RFC 9110 section 5.6.2); empty where none begins. */
export function readToken(cursor: Cursor): string {
  const from = cursor.at
  TOKEN.lastIndex = from
  TOKEN.test(cursor.text)
  cursor.at = TOKEN.lastIndex
  return cursor.text.slice(from, cursor.at)
}

/** Reads the quoted-string (section 5.6.4) that begins here; undefined when it is unterminated, which uses up the rest. */
function readQuoted(cursor: Cursor): string | undefined {
  const { text } = cursor
  let value = ''
  let from = cursor.at + 1
  for (let at = from; at < text.length; at++) {
    if (text[at] === '"') {
      cursor.at = at + 1
      value += text.slice(from, at)
      return isFieldText(value) ? value : undefined
    }
    if (text[at] === '\\') {
      value += text.slice(from, at)
      // The character behind the backslash opens the next slice, whatever it is.
      at += 1
      from = at
    }
  }
  cursor.at = text.length
  return undefined
}

/** Reads `= value`, a token or quoted, space allowed around the sign; empty without a sign, undefined when malformed. */
export function readValue(cursor: Cursor): string | undefined {
  skipSpace(cursor)
  if (!skipChar(cursor, '=')) return ''
  skipSpace(cursor)
  return cursor.text[cursor.at] === '"' ? readQuoted(cursor) : readToken(cursor) || undefined
}

/** Reads `; name=value` as often as it comes, empty ones allowed: names in lower case, the first of a name counts. */
export function readParameters(cursor: Cursor): ReadonlyMap<string, string> | undefined {
  const parameters = new Map<string, string>()
  skipSpace(cursor)
  while (skipChar(cursor, ';')) {
    skipSpace(cursor)
    const name = readToken(cursor).toLowerCase()
    if (name === '') continue
    const value = readValue(cursor)
    if (value === undefined) return undefined
    if (!parameters.has(name)) parameters.set(name, value)
    skipSpace(cursor)
  }
  return parameters
}

function atMemberEnd(cursor: Cursor): boolean {
  skipSpace(cursor)
  return cursor.at >= cursor.text.length || cursor.text[cursor.at] === ','
}

function skipMember(cursor: Cursor): void {
  while (!atMemberEnd(cursor)) {
    if (cursor.text[cursor.at] === '"') readQuoted(cursor)
    else cursor.at += 1
  }
}

/**
 * Reads a comma-separated list (RFC 9110 section 5.6.1.2): empty members are skipped, malformed ones dropped.
 * A member is malformed when `read` says undefined or stops before its end; `limit` bounds how many are looked at.
 */
export function readList<T>(text: string, read: (cursor: Cursor) => T | undefined, limit = Infinity): T[] {
  const cursor: Cursor = { text, at: 0 }
  const members: T[] = []
  for (let seen = 0; seen < limit && cursor.at < text.length; skipChar(cursor, ',')) {
    if (atMemberEnd(cursor)) continue
    seen += 1
    const member = read(cursor)
    if (member !== undefined && atMemberEnd(cursor)) members.push(member)
    else skipMember(cursor)
  }
  return members
}
