import type { OutgoingRecord } from '../profiles/kafka-wire.js'

type Header = OutgoingRecord['headers'][number]

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

/** Makes one header whose values many records have in common: these share it as a whole. */
export function commonHeader(name: string): (value: string) => Header {
  const headers = new Map<string, Header>()
  return (value) => {
    const found = headers.get(value)
    if (found !== undefined) return found
    const header: Header = [name, Buffer.from(value)]
    if (headers.size < LIMIT) headers.set(value, header)
    return header
  }
}

/** Makes one header whose values come in runs: records with the value of the one before share it. */
export function timeHeader(name: string): (time: number) => Header {
  let last = Number.NaN
  let header: Header
  return (time) => {
    if (time !== last) header = [name, Buffer.from(new Date(time).toISOString())]
    last = time
    return header
  }
}
