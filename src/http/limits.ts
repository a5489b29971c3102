import { GatewayError } from '../core/errors.js'

const SECOND_MS = 1000

/** How many event streams may be open. */
export interface StreamLimits {
  readonly maxStreams: number
  readonly maxStreamsPerOperation: number
}

/** The event streams that are open, all in all and of each operation. */
export class OpenStreams {
  readonly #limits: StreamLimits
  readonly #ofOperation = new Map<string, number>()
  #all = 0

  constructor(limits: StreamLimits) {
    this.#limits = limits
  }

  /** How many are open. */
  get size(): number {
    return this.#all
  }

  /** @throws GatewayError ERR_OVERLOADED at the limit of all, ERR_TOO_MANY_REQUESTS at that of the operation. */
  assertRoom(id: string): void {
    const { maxStreams, maxStreamsPerOperation } = this.#limits
    if (this.#all >= maxStreams) throw refused('ERR_OVERLOADED', 'Too many event streams are open; poll instead.')
    if ((this.#ofOperation.get(id) ?? 0) < maxStreamsPerOperation) return
    throw refused(
      'ERR_TOO_MANY_REQUESTS',
      `The operation has ${maxStreamsPerOperation} event streams, which is the limit.`,
    )
  }

  /** Counts one more; the returned function counts it out. */
  open(id: string): () => void {
    this.#all += 1
    this.#ofOperation.set(id, (this.#ofOperation.get(id) ?? 0) + 1)
    return () => {
      this.#all -= 1
      const left = (this.#ofOperation.get(id) ?? 1) - 1
      if (left > 0) this.#ofOperation.set(id, left)
      else this.#ofOperation.delete(id)
    }
  }
}

/** How often each key was read in the current second: what was read before is forgotten all at once. */
export class ReadRate {
  readonly #limit: number
  readonly #counts = new Map<string, number>()
  #since = Number.NEGATIVE_INFINITY

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Counts one more read, at a time on the monotonic scale.
   * @throws GatewayError ERR_TOO_MANY_REQUESTS with a Retry-After (RFC 6585 section 4).
   */
  count(key: string, now: number): void {
    if (now - this.#since >= SECOND_MS) {
      this.#counts.clear()
      this.#since = now
    }
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count > this.#limit)
      throw refused('ERR_TOO_MANY_REQUESTS', 'The operation is read too often; wait, or use Prefer: wait.')
  }
}

function refused(code: 'ERR_OVERLOADED' | 'ERR_TOO_MANY_REQUESTS', text: string): GatewayError {
  return new GatewayError(code, text, { outcome: 'not-accepted', retryAfterSeconds: 1 })
}
