const LIMIT = 1000
const known = new Map<string, Buffer>()

/**
 * The bytes of a text that most records have in common, such as the name of a header or a type: most of what is written
 * for a record is that. Beyond the limit texts are encoded each time.
 */
export function encoded(text: string): Buffer {
  const found = known.get(text)
  if (found !== undefined) return found
  const bytes = Buffer.from(text)
  if (known.size < LIMIT) known.set(text, bytes)
  return bytes
}
