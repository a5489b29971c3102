import type { Operation } from '../../core/operation.js'
import type { ChangeListener } from '../../core/store.js'
import { Warnings } from '../warnings.js'
import { Watchers } from '../watchers.js'
import type { RedisConnection } from './connection.js'
import { isDenied } from './errors.js'
import type { Scripts } from './runner.js'
import { POLL } from './scripts/index.js'

/** What changes are heard by. */
export interface ChangesOptions {
  readonly connection: RedisConnection
  readonly scripts: Scripts
  readonly prefix: string
  /** The name of this store, by which it tells its own changes. */
  readonly self: string
  readonly pollEveryMs: number
  readonly connectTimeoutMs: number
  /** Reads operations for `ask`. */
  read(id: string): Promise<Operation | undefined>
}

/** How long the log is kept without a poll: so long, or so many intervals. */
const KEPT_MS = 10_000
const KEPT_POLLS = 4

/**
 * Tells listeners of changes: of this store's own at once and with the operation, of those of others as their messages
 * come. Messages that are lost while there is no connection to hear them on are made up for by asking once there is.
 */
export class Changes {
  readonly #options: ChangesOptions
  readonly #warnings = new Warnings()
  readonly #watchers: Watchers
  #stop: Promise<() => void> | undefined
  #asking: NodeJS.Timeout | undefined

  constructor(options: ChangesOptions) {
    this.#options = options
    this.#watchers = new Watchers(async (ids) => {
      const found = await Promise.all(ids.map((id) => options.read(id)))
      return found.filter((operation) => operation !== undefined)
    })
  }

  /** Resolves when every change from now on is heard of. */
  async watch(listener: ChangeListener): Promise<() => Promise<void>> {
    const remove = this.#watchers.add(listener)
    const stop = async () => {
      remove()
      if (!this.#watchers.isWatched) await this.close()
    }
    try {
      this.#stop ??= this.#listen()
      await this.#stop
    } catch (error) {
      this.#stop = undefined
      await stop()
      throw error
    }
    return stop
  }

  /** An operation as it was read or made. */
  see(operation: Operation): void {
    this.#watchers.see(operation)
  }

  /** A change that this store has made itself. */
  notify(id: string, operation?: Operation): void {
    this.#watchers.tell(id, operation)
  }

  /** Ends all watching. */
  async close(): Promise<void> {
    this.#watchers.clear()
    clearTimeout(this.#asking)
    const stop = this.#stop
    this.#stop = undefined
    if (stop !== undefined) (await stop)()
  }

  async #listen(): Promise<() => void> {
    const { connection, prefix, connectTimeoutMs: timeoutMs } = this.#options
    const hearing = { timeoutMs, onMessage: (text: string) => this.#hear(text), onGap: () => this.#ask() }
    try {
      const stop = await connection.subscribe(`${prefix}changes`, hearing)
      if (stop !== undefined) return stop
    } catch (error) {
      // This user may not subscribe, but may read.
      if (!isDenied(error)) throw error
    }
    return this.#startPolling()
  }

  /** Asks for what was missed, again and again until the first connection is back as well. */
  #ask(): void {
    clearTimeout(this.#asking)
    this.#watchers.ask().catch(() => {
      if (!this.#watchers.isWatched) return
      clearTimeout(this.#asking)
      this.#asking = setTimeout(() => this.#ask(), this.#options.pollEveryMs).unref()
    })
  }

  #hear(text: string): void {
    const message = parse(text)
    if (message === undefined) {
      // Anybody who may use the server can send anything on the channel.
      this.#warnings.tell(`What is no announcement comes on ${this.#options.prefix}changes, and is passed over.`)
    } else if (message.self !== this.#options.self) {
      for (const id of message.ids) this.#watchers.tell(id)
    }
  }

  /** Reads the log that the scripts keep while somebody polls. */
  async #startPolling(): Promise<() => void> {
    let last = (await this.#poll('')).last
    let hasFailed = false
    const timer = setInterval(() => {
      // What fails is tried again; that the connection is down is told by the calls that need it.
      const heard = this.#poll(last).then((page) => {
        last = page.last
        for (const text of page.texts) this.#hear(text)
        if (hasFailed || page.isGap) this.#ask()
        hasFailed = false
      })
      heard.catch(() => {
        hasFailed = true
      })
    }, this.#options.pollEveryMs)
    timer.unref()
    return () => clearInterval(timer)
  }

  async #poll(after: string): Promise<Page> {
    const keptMs = Math.max(KEPT_MS, KEPT_POLLS * this.#options.pollEveryMs)
    const answer = (await this.#options.scripts.run(POLL, [after, String(keptMs)])) as string[]
    const [isGap, last = '', ...texts] = answer
    return { isGap: isGap === '1', last, texts }
  }
}

/** What one poll has brought. */
interface Page {
  /** The log is kept only while somebody polls, and only so much of it: something may be missing. */
  readonly isGap: boolean
  readonly last: string
  readonly texts: readonly string[]
}

/** Who changed which operations; nothing where the text does not say that. */
function parse(text: string): { readonly self: string; readonly ids: readonly string[] } | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const [self, ids] = Array.isArray(value) ? (value as unknown[]) : []
  const isMessage = typeof self === 'string' && Array.isArray(ids) && ids.every((id) => typeof id === 'string')
  return isMessage ? { self, ids } : undefined
}
