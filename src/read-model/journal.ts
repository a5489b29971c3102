import { EventEmitter } from 'eventemitter3'
import { type GatewayError, toGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import type { RecordSpace } from '../core/store.js'
import { type KeyedEvent, readEvent } from './projection.js'
import { type Folded, fold, type Row } from './row.js'
import type { ReadModelSettings } from './settings.js'
import { prefixOf } from './snapshots.js'
import { Waits } from './waits.js'

/** An event that could not be folded. */
export interface ParkedEvent {
  readonly message: EventMessage
  readonly error: unknown
}

/** What a read model tells about its work. */
export interface ReadModelEvents {
  parked: ParkedEvent
  error: GatewayError
}

/** An event, and the key of the row that it changes. */
export interface Entry {
  readonly key: string
  readonly event: KeyedEvent
}

/** How a journal stands. */
export interface Counts {
  readonly parked: number
  readonly waiting: number
  /** When the last event happened, and how much later it was folded. */
  readonly newest?: { readonly time: number; readonly lagMs: number } | undefined
}

const PARKED_LIMIT = 1000
/** Parked events are read whole, so that few of them fit into the time of one call. */
const PAGE = 20

/** Reads and folds events, keeps count, and tells those who wait. Nothing that an event has in it gets out as an error. */
export class Journal {
  readonly emitter = new EventEmitter<{ [Name in keyof ReadModelEvents]: [ReadModelEvents[Name]] }>()
  readonly waits: Waits
  /** Ids of the newest parked events. */
  readonly #parked = new Set<string>()
  /** Keys with events that wait for a predecessor. */
  readonly #waiting = new Set<string>()
  #newest: Counts['newest']
  readonly #settings: ReadModelSettings

  constructor(settings: ReadModelSettings) {
    this.#settings = settings
    this.waits = new Waits(settings.clock)
  }

  get counts(): Counts {
    return { parked: this.#parked.size, waiting: this.#waiting.size, newest: this.#newest }
  }

  /** Finds what earlier runs, and other instances, have parked. */
  async start(): Promise<void> {
    const { records, projection } = this.#settings
    const prefix = `${prefixOf(projection)}parked/`
    for (let after = ''; this.#parked.size < PARKED_LIMIT; ) {
      const page = (await records?.list(prefix, { after, limit: PAGE })) ?? []
      for (const { key } of page) this.#parked.add(decodeURIComponent(key.slice(prefix.length)))
      if (page.length < PAGE) return
      after = page.at(-1)?.key ?? after
    }
  }

  /** What the projection reads in an event; undefined when that is nothing, `parked` when it cannot be read. */
  async read(message: EventMessage): Promise<Entry | 'parked' | undefined> {
    const { projection } = this.#settings
    if (!projection.types.includes(message.type)) return undefined
    try {
      const event = await readEvent(projection, message)
      return event.key === undefined ? undefined : { key: event.key, event }
    } catch (error) {
      await this.#park({ message, error })
      return 'parked'
    }
  }

  fold(row: Row | undefined, { event }: Entry): Promise<Folded> {
    return fold(this.#settings.projection, row, event)
  }

  /** Takes down what has become of an event, once its row is kept. */
  note({ key, event: { event } }: Entry, row: Row): void {
    if (row.waiting.length > 0) this.#waiting.add(key)
    else this.#waiting.delete(key)
    this.#newest = { time: event.time, lagMs: Math.max(this.#settings.clock.now() - event.time, 0) }
    this.waits.wake(key)
  }

  /** Puts events aside that could not be folded. */
  async park(poison: Folded['poison']): Promise<void> {
    for (const parked of poison) await this.#park(parked)
  }

  /** Reports an error that has no caller to be thrown to. */
  report(error: unknown): void {
    const known = toGatewayError(error)
    if (!this.emitter.emit('error', known)) process.emitWarning(known.message, { code: known.code })
  }

  async #park({ message, error }: ParkedEvent): Promise<void> {
    const { records, projection, snapshotTtlMs: ttlMs } = this.#settings
    const isNew = !this.#parked.has(message.id)
    if (this.#parked.size < PARKED_LIMIT) this.#parked.add(message.id)
    if (isNew) this.emitter.emit('parked', { message, error })
    const key = `${prefixOf(projection)}parked/${encodeURIComponent(Buffer.from(message.id).toString())}`
    const value = Buffer.from(JSON.stringify({ ...message, body: Buffer.from(message.body).toString('base64') }))
    await this.#keep(records, { key, value, ttlMs })
  }

  async #keep(records: RecordSpace | undefined, write: Parameters<RecordSpace['put']>[0]): Promise<void> {
    try {
      await records?.put(write)
    } catch (error) {
      // The projection goes on: it is counted here all the same.
      this.report(error)
    }
  }
}
