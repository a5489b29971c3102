import type { Socket } from 'node:net'
import type { LineState } from './chaos-proxy.js'

/** More than this is not taken from the sender: it is then held up, as by a full line. */
const MAX_HELD_BYTES = 256 * 1024
/** A slow line passes pieces, so that a big message trickles instead of coming late as a whole. */
const PIECE_MS = 50

interface Held {
  /** Undefined marks the end of the stream. */
  readonly bytes: Buffer | undefined
  readonly dueAt: number
}

/** One way of a connection: what comes in goes out in its order, when and as fast as the line lets it. */
export class Pipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #held: Held[] = []
  #state: LineState = {}
  #heldBytes = 0
  #busyUntil = 0
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
    from.on('data', (bytes) => this.#take(bytes))
    from.on('end', () => this.#take(undefined))
    from.on('close', () => this.#fromClosed())
    to.on('drain', () => this.#pump())
    to.on('close', () => this.stop())
  }

  /** What is held already goes on under the new state. */
  set(state: LineState): void {
    this.#state = state
    this.#busyUntil = 0
    this.#pump()
  }

  /** Passes nothing any more, for ever. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#held.length = 0
    // Read and thrown away, so that the sender notices nothing.
    this.#from.resume()
  }

  #take(bytes: Buffer | undefined): void {
    if (this.#stopped) return
    this.#held.push({ bytes, dueAt: performance.now() + (this.#state.latencyMs ?? 0) })
    this.#heldBytes += bytes?.length ?? 0
    if (this.#heldBytes > MAX_HELD_BYTES) this.#from.pause()
    this.#pump()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    while (!this.#stopped && !this.#state.silent && !this.#to.writableNeedDrain) {
      const [next] = this.#held
      if (next === undefined) return
      const now = performance.now()
      const waitMs = Math.max(this.#state.latencyMs ? next.dueAt - now : 0, this.#busyUntil - now)
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), waitMs)
        return
      }
      this.#pass(next, now)
    }
  }

  #pass({ bytes, dueAt }: Held, now: number): void {
    this.#held.shift()
    if (bytes === undefined) {
      this.#to.end()
      return
    }
    const { bytesPerSecond } = this.#state
    const most =
      bytesPerSecond === undefined ? bytes.length : Math.max(1, Math.floor((bytesPerSecond * PIECE_MS) / 1000))
    const piece = bytes.subarray(0, most)
    if (piece.length < bytes.length) this.#held.unshift({ bytes: bytes.subarray(piece.length), dueAt })
    if (bytesPerSecond !== undefined) this.#busyUntil = now + (piece.length / bytesPerSecond) * 1000
    this.#to.write(piece)
    this.#heldBytes -= piece.length
    if (this.#heldBytes <= MAX_HELD_BYTES) this.#from.resume()
  }

  /** A silent line does not tell that its sender has gone either. */
  #fromClosed(): void {
    if (!this.#from.errored && this.#held.length === 0 && !this.#stopped && !this.#state.silent) this.#to.end()
  }
}
