import { type Cursor, readList } from './scan.js'

// RFC 9110 section 8.8.3: no escapes inside, so a backslash is a character like others; `W` only in upper case.
const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\uffff]*"/y

function readEntityTag(cursor: Cursor): string | undefined {
  const from = cursor.at
  ENTITY_TAG.lastIndex = from
  if (!ENTITY_TAG.test(cursor.text)) return undefined
  cursor.at = ENTITY_TAG.lastIndex
  return cursor.text.slice(from, cursor.at)
}

function opaque(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag
}

/**
 * Tells whether `If-None-Match` names the current entity tag, so that a GET is answered 304 (RFC 9110 section 13.1.2).
 * Weak comparison; false without the header, true for `*`.
 */
export function matchesNoneMatch(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  return readList(ifNoneMatch, readEntityTag).some((tag) => opaque(tag) === opaque(etag))
}

/**
 * Tells whether `If-Match` lets an unsafe method go on with the current entity tag (RFC 9110 section 13.1.1); else 412.
 * Strong comparison; true without the header and for `*`, false when no tag in it can be read.
 */
export function matchesIfMatch(ifMatch: string | undefined, etag: string): boolean {
  if (ifMatch === undefined || ifMatch.trim() === '*') return true
  return !etag.startsWith('W/') && readList(ifMatch, readEntityTag).includes(etag)
}

/**
 * Tells whether a copy of this time is still good, so that a GET is answered 304 (RFC 9110 section 13.1.3). Asked only
 * where there is no `If-None-Match`; false for what is no HTTP date.
 */
export function isNotModifiedSince(ifModifiedSince: string | undefined, lastModified: number): boolean {
  // The three forms of RFC 9110 section 5.6.7 all begin with the name of a day; Date.parse takes much more.
  if (ifModifiedSince === undefined || !/^[A-Z][a-z]{2}/.test(ifModifiedSince)) return false
  const time = Date.parse(ifModifiedSince)
  return Math.floor(lastModified / 1000) * 1000 <= time
}
