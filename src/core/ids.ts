import { randomFillSync } from 'node:crypto'
import { decodeTime, encodeTime } from 'ulid'

const ALPHABET = Buffer.from('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 'latin1')
const TIME_LENGTH = 10
const LENGTH = 26

/** Octets from the system's CSPRNG; one system call for each id costs as much as all the rest of it. */
const POOL = Buffer.alloc(16_384)
let next = POOL.length

/** Where so many unused octets begin in the pool. */
function take(length: number): number {
  if (next + length > POOL.length) {
    randomFillSync(POOL)
    next = 0
  }
  next += length
  return next - length
}

/** The last id that was made; its time is written anew only when a millisecond has passed. */
const ID = Buffer.alloc(LENGTH)
let writtenTime = -1

/**
 * A new id, a ulid: its time can be read, its 80 random bits cannot be guessed (those of monotonic ulids could be).
 * Made in one piece: put together character by character it would keep 170 bytes of pieces for each waiting request.
 */
export function createId(now: number): string {
  const time = Math.floor(now)
  if (time !== writtenTime) ID.write(encodeTime(time, TIME_LENGTH), 'latin1')
  writtenTime = time
  const from = take(LENGTH - TIME_LENGTH)
  for (let at = 0; at < LENGTH - TIME_LENGTH; at += 1) ID[TIME_LENGTH + at] = ALPHABET[(POOL[from + at] ?? 0) & 31] ?? 0
  return ID.toString('latin1')
}

const DIGITS = Buffer.from('0123456789abcdef', 'latin1')

/** Writes random octets as lower-case hexadecimal digits, never zeros alone: in one piece too, and with no text between. */
export function writeHex(target: Buffer, at: number, octets: number): void {
  const from = take(octets)
  let seen = 0
  for (let index = 0; index < octets; index += 1) {
    const octet = POOL[from + index] ?? 0
    seen |= octet
    target[at + 2 * index] = DIGITS[octet >> 4] ?? 0
    target[at + 2 * index + 1] = DIGITS[octet & 15] ?? 0
  }
  if (seen === 0) writeHex(target, at, octets)
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

/** False with half of a surrogate pair, as JSON may bring it: such text has no UTF-8 form, and no place in a URL or a key. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}
