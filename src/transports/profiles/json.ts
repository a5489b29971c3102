import { isUtf8 } from 'node:buffer'
import { textOf } from '../../core/event.js'

/**
 * The members of a JSON object, each as the text in which it was written, so that no digit of a number is lost.
 * Undefined for everything else. Of members with one name the last one counts, as for `JSON.parse`.
 */
export function membersOf(body: Uint8Array): ReadonlyMap<string, string> | undefined {
  if (!isUtf8(body)) return undefined
  const text = textOf(body)
  return isObject(text) ? scan(text) : undefined
}

/** The scan below is simple because only valid JSON gets there. */
function isObject(text: string): boolean {
  if (!/^[\t\n\r ]*\{/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function scan(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>()
  let at = skipSpace(text, text.indexOf('{') + 1)
  while (text[at] !== '}') {
    const endOfName = endOfString(text, at)
    const start = skipSpace(text, text.indexOf(':', endOfName) + 1)
    const end = endOfValue(text, start)
    members.set(JSON.parse(text.slice(at, endOfName)), text.slice(start, end).trimEnd())
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return members
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1
  return at
}

/** Behind the closing quote. */
function endOfString(text: string, from: number): number {
  let at = from + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

/** At the comma or brace behind the value. */
function endOfValue(text: string, from: number): number {
  let depth = 0
  for (let at = from; ; ) {
    const char = text[at]
    if (char === '"') {
      at = endOfString(text, at)
      continue
    }
    if (depth === 0 && (char === ',' || char === '}')) return at
    if (char === '{' || char === '[') depth += 1
    else if (char === '}' || char === ']') depth -= 1
    at += 1
  }
}
