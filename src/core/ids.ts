import { randomFillSync } from 'node:crypto'
import { decodeTime, ulid } from 'ulid'

const POOL = new Uint32Array(4096)
let next = POOL.length

/** A number in [0, 1) from the system's CSPRNG; pooled, as one system call per number costs 70 times as much. */
function random(): number {
  if (next === POOL.length) {
    randomFillSync(POOL)
    next = 0
  }
  const value = POOL[next] ?? 0
  next += 1
  return value / 2 ** 32
}

const FLAT = Buffer.alloc(26)

/** A new id: its time can be read, its 80 random bits cannot be guessed (monotonic ulids could be). */
export function createId(now: number): string {
  // Put together character by character, the text would keep all its pieces: 170 bytes more for each waiting request.
  FLAT.write(ulid(Math.floor(now), random), 'latin1')
  return FLAT.toString('latin1')
}

/** When an id of ours was made, in milliseconds since the epoch; undefined for ids of other kinds. */
export function timeOfId(id: string): number | undefined {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id) ? decodeTime(id) : undefined
}

/**
 * The correlation id of a message as text, or undefined when it cannot be one of ours.
 * Client libraries hand ids out as text or as bytes; anything else, or longer than 128 characters, is foreign.
 */
export function normaliseId(value: unknown): string | undefined {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value
  return typeof text === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(text) ? text : undefined
}
