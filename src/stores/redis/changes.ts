import type { Operation } from '../../core/operation.js'
import type { ChangeListener } from '../../core/store.js'
import { Warnings } from '../warnings.js'
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
}

/**
 * Tells listeners of changes: of this store's own at once and with the operation, of those of others as their messages
 * come. While the second connection is broken messages are lost; who waits reads again at its deadline.
 */
export class Changes {
  readonly #options: ChangesOptions
  readonly #warnings = new Warnings()
  #listeners: readonly ChangeListener[] = []
  #stop: Promise<() => void> | undefined

  constructor(options: ChangesOptions) {
    this.#options = options
  }

  /** Resolves when every change from now on is heard of. */
  async watch(listener: ChangeListener): Promise<() => Promise<void>> {
    // Its own function, so that a listener may watch twice, and end each watch by itself.
    const entry: ChangeListener = (id, operation) => listener(id, operation)
    this.#listeners = [...this.#listeners, entry]
    try {
      this.#stop ??= this.#listen()
      await this.#stop
    } catch (error) {
      this.#stop = undefined
      await this.#remove(entry)
      throw error
    }
    return () => this.#remove(entry)
  }

  /** A change that this store has made itself. */
  notify(id: string, operation?: Operation): void {
    for (const listener of this.#listeners) {
      try {
        listener(id, operation)
      } catch {
        // A listener's trouble is its own.
      }
    }
  }

  /** Ends all watching. */
  async close(): Promise<void> {
    this.#listeners = []
    const stop = this.#stop
    this.#stop = undefined
    if (stop !== undefined) (await stop)()
  }

  async #remove(entry: ChangeListener): Promise<void> {
    this.#listeners = this.#listeners.filter((other) => other !== entry)
    if (this.#listeners.length === 0) await this.close()
  }

  async #listen(): Promise<() => void> {
    const { connection, prefix, connectTimeoutMs } = this.#options
    try {
      const stop = await connection.subscribe(`${prefix}changes`, (text) => this.#hear(text), connectTimeoutMs)
      if (stop !== undefined) return stop
    } catch (error) {
      // This user may not subscribe, but may read.
      if (!isDenied(error)) throw error
    }
    return this.#startPolling()
  }

  #hear(text: string): void {
    const message = parse(text)
    if (message === undefined) {
      // Anybody who may use the server can send anything on the channel.
      this.#warnings.tell(`What is no announcement comes on ${this.#options.prefix}changes, and is passed over.`)
    } else if (message.self !== this.#options.self) {
      for (const id of message.ids) this.notify(id)
    }
  }

  /** Reads the log that the scripts keep while somebody polls. */
  async #startPolling(): Promise<() => void> {
    let last = (await this.#poll('')).last
    const timer = setInterval(() => {
      // What fails is tried again; that the connection is down is told by the calls that need it.
      const heard = this.#poll(last).then((page) => {
        last = page.last
        for (const text of page.texts) this.#hear(text)
      })
      heard.catch(() => {})
    }, this.#options.pollEveryMs)
    timer.unref()
    return () => clearInterval(timer)
  }

  async #poll(after: string): Promise<{ readonly last: string; readonly texts: readonly string[] }> {
    const [last = '', ...texts] = (await this.#options.scripts.run(POLL, [after])) as string[]
    return { last, texts }
  }
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
