import { createHash } from 'node:crypto'

/** Characters of a mark: 48 bits, as it has to tell one message from another, and stands in every position. */
export const MARK_LENGTH = 8

/** Tells a message from another that stands at the same place of another log of the same name. */
export function markOf(parts: readonly (Uint8Array | string | null | undefined)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    // With its length, so that what moves from one part to the next makes a difference.
    hash.update(`${part?.length ?? -1} `)
    if (part != null) hash.update(part)
  }
  return hash.digest('base64url').slice(0, MARK_LENGTH)
}
