import { GatewayError, isGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import type { Delivery, Reader } from '../core/transport.js'
import { AGAIN_MS, createGate, readerEnded } from './copy.js'
import type { Entry, Journal } from './journal.js'
import type { LogCheck } from './log-check.js'
import { type Replayed, replay } from './replay.js'
import { SEEN_LIMIT } from './row.js'
import { loadedRow, type ReadModelSettings } from './settings.js'
import type { SharedRows } from './shared-rows.js'
import type { SharedState, SharedStateRecord } from './shared-state.js'

/** What a keeper works with. */
export interface KeeperParts {
  readonly settings: ReadModelSettings
  readonly journal: Journal
  readonly rows: SharedRows
  readonly state: SharedStateRecord
  readonly leaseMs: number
}

/** How many rows are written at a time. Each has no more events that wait than it has ids. */
const CONCURRENCY = 64
/** How many events are read, at most, before the position is stored. */
const EVENTS_LIMIT = 1024
const BEAT_MS = 1000
const WRITE_AGAIN_MS = 200

/**
 * Folds the events into the rows of a shared copy, for one term. The position is stored once all rows up to it are, and
 * before a row has had more events since than it has ids: so whatever is read again behind it is known, whoever reads it.
 * A keeper that does not know yet that it is none any more writes no row that its successor has written.
 */
export class Keeper implements Replayed {
  readonly name: string
  readonly #parts: KeeperParts
  #term: number
  /** In which the rows were begun. */
  #rowsTerm: number
  /** Of the last event that was taken. */
  #position: string | undefined
  #phase: SharedState['phase']
  /** Since the position was stored: how many events, in all and of each key. */
  #taken = 0
  readonly #counts = new Map<string, number>()
  /** The last write of each key. */
  readonly #turns = new Map<string, Promise<void>>()
  /** Taking an event and storing the position, one after the other. */
  #line: Promise<unknown> = Promise.resolve()
  #isSaving = false
  #hasSwept = false
  #savedAt: number
  #reader: Reader | undefined
  #isOver = false
  #hasGivenUp = false
  readonly #over = createGate()
  #cancelBeat = (): void => {}
  #leaving: Promise<void> | undefined

  constructor(parts: KeeperParts) {
    const { settings, state } = parts
    const { name, version } = settings.projection
    this.#parts = parts
    // No instance of an own copy has such a name.
    this.name = `read-model.${name}.${version}.~shared`
    this.#term = state.current?.term ?? 0
    this.#position = state.current?.position
    this.#phase = state.current?.phase ?? 'behind'
    this.#rowsTerm = state.current?.rows ?? 0
    this.#savedAt = settings.clock.monotonic()
  }

  /** Reads until it is ended, or another instance has taken over. Rejects when it cannot go on. */
  async run(): Promise<void> {
    this.#beatLater()
    const reading = this.#read()
    try {
      await Promise.race([this.#over.passed, reading])
      await this.#over.passed
    } finally {
      await this.end()
      // That it was broken off is no news.
      await reading.catch(() => {})
    }
  }

  async #read(): Promise<void> {
    const { settings, journal } = this.#parts
    await journal.start()
    const reader = await replay(settings, this)
    void reader.ended?.then((reason) => this.#end(readerEnded(reason)))
    await this.#inLine(() => this.#save('caught-up'))
  }

  /** Makes room for another keeper as soon as the writes that are under way have come to an end. */
  end(): Promise<void> {
    this.#end()
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    this.#cancelBeat()
    await this.#reader?.close()
    await this.#line.catch(() => {})
    await Promise.all(this.#turns.values())
    const { state, journal } = this.#parts
    try {
      // What was given up, and what came after it, is read again.
      if (!this.#hasGivenUp)
        await state.write(this.#term, { keeper: undefined, position: this.#position, phase: this.#phase })
      else
        await state.write(this.#term, { keeper: undefined, phase: this.#phase === 'behind' ? 'behind' : 'taken-over' })
    } catch (error) {
      // Another one takes over when nothing has been heard of this one for long enough.
      journal.report(error)
    }
  }

  async *positions(): AsyncGenerator<string> {
    if (this.#position !== undefined) yield this.#position
  }

  use(reader: Reader): void {
    this.#refuseOver()
    this.#reader = reader
  }

  async begin(reader: Reader): Promise<void> {
    const { settings, rows } = this.#parts
    await this.#inLine(async () => {
      this.#position = undefined
      this.#phase = 'behind'
      // Whatever is on its way to the rows that there were must not meet the new ones.
      await this.#write({ term: this.#term + 1, position: undefined, phase: 'behind' })
      this.#term += 1
    })
    for await (const loaded of settings.load?.() ?? []) {
      this.#refuseOver()
      await rows.put(loaded.key, { ...loadedRow(loaded), term: this.#term }, { term: this.#term, ifVersion: 0 })
    }
    await this.#inLine(async () => {
      this.#position = reader.keeping?.from
      this.#rowsTerm = this.#term
      await this.#write({ rows: this.#term, position: this.#position })
    })
  }

  async take(message: EventMessage, { position }: Delivery, check: LogCheck): Promise<'ack'> {
    const entry = await this.#parts.journal.read(message)
    await this.#inLine(async () => {
      this.#refuseOver()
      if (this.#taken >= this.#eventsLimit) await this.#save()
      if (entry !== undefined && entry !== 'parked') {
        check.look(message, entry.key)
        await this.#admit(entry)
      }
      this.#position = position ?? this.#position
      this.#taken += 1
    })
    return 'ack'
  }

  discard(): Promise<void> {
    return this.#inLine(async () => {
      this.#position = undefined
      this.#phase = 'behind'
      await this.#write({ position: undefined, phase: 'behind' })
    })
  }

  report(error: GatewayError): void {
    this.#parts.journal.report(error)
  }

  /** A transport that keeps events brings no more than so many that are not released. */
  get #eventsLimit(): number {
    return Math.min(EVENTS_LIMIT, Math.ceil((this.#reader?.keeping?.limit ?? EVENTS_LIMIT) / 2))
  }

  async #admit(entry: Entry): Promise<void> {
    const { key } = entry
    if ((this.#counts.get(key) ?? 0) >= SEEN_LIMIT) await this.#save()
    if (this.#turns.size >= CONCURRENCY) await Promise.race(this.#turns.values())
    this.#refuseOver()
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    const before = this.#turns.get(key) ?? Promise.resolve()
    const turn = before.then(() => this.#fold(entry))
    this.#turns.set(key, turn)
    void turn.finally(() => {
      if (this.#turns.get(key) === turn) this.#turns.delete(key)
    })
  }

  /** Never rejects: until the store has it, or this is over. */
  async #fold(entry: Entry): Promise<void> {
    for (let isParked = false; !this.#isOver; ) {
      try {
        const { journal, rows } = this.#parts
        const known = await rows.find(this.#rowsTerm, entry.key)
        if ((known?.row.term ?? 0) > this.#term) this.#end()
        if (this.#isOver) break
        const { row, verdict, poison } = await journal.fold(known?.row, entry)
        // Before its row is kept, by which it would be known: else nobody would put it aside.
        if (!isParked) await journal.park(poison)
        isParked = true
        const write = { term: this.#rowsTerm, ifVersion: known?.version ?? 0 }
        if (verdict !== 'known' && !(await rows.put(entry.key, { ...row, term: this.#term }, write))) continue
        return journal.note(entry, row)
      } catch (error) {
        await this.#wait(error)
      }
    }
    this.#hasGivenUp = true
  }

  async #wait(error: unknown): Promise<void> {
    const isAway = isGatewayError(error) && error.code === 'ERR_STORE_UNAVAILABLE'
    if (!isAway) this.#parts.journal.report(error)
    if (this.#isOver) return
    const { clock } = this.#parts.settings
    await new Promise<void>((resolve) => void clock.setTimer(resolve, isAway ? WRITE_AGAIN_MS : AGAIN_MS, true))
  }

  /** Stores the position, once all rows up to it are. */
  async #save(phase = this.#phase): Promise<void> {
    await Promise.all(this.#turns.values())
    this.#refuseOver()
    const askedAt = this.#parts.settings.clock.monotonic()
    const position = this.#position
    await this.#write({ position, phase, told: this.#parts.journal.counts })
    this.#phase = phase
    this.#savedAt = askedAt
    this.#taken = 0
    this.#counts.clear()
    if (position !== undefined) this.#reader?.keeping?.release(position)
  }

  /** Throws when it is the keeper no more. */
  async #write(change: Partial<SharedState>): Promise<void> {
    if (await this.#parts.state.write(this.#term, change)) return
    this.#end()
    this.#refuseOver()
  }

  #beatLater(): void {
    const { clock } = this.#parts.settings
    this.#cancelBeat = clock.setTimer(() => void this.#beat(), BEAT_MS, true)
  }

  async #beat(): Promise<void> {
    if (this.#isOver) return
    this.#beatLater()
    const { settings, leaseMs, journal } = this.#parts
    // Another instance takes over by now, if it can.
    if (settings.clock.monotonic() - this.#savedAt >= leaseMs) this.#end()
    if (this.#isSaving || this.#isOver) return
    this.#isSaving = true
    try {
      await this.#inLine(() => this.#save())
      if (this.#phase === 'caught-up') void this.#sweep()
    } catch (error) {
      if (!this.#isOver) journal.report(error)
    }
    this.#isSaving = false
  }

  /** By now those who stand by have seen which rows are to be read. It may take longer than a lease. */
  async #sweep(): Promise<void> {
    if (this.#hasSwept) return
    this.#hasSwept = true
    const { rows, journal } = this.#parts
    try {
      await rows.sweep(this.#rowsTerm, () => !this.#isOver)
    } catch (error) {
      if (!this.#isOver) journal.report(error)
      this.#hasSwept = false
    }
  }

  /** Without a reason another instance has taken over, or it is to be closed. */
  #end(reason?: GatewayError): void {
    if (this.#isOver) return
    this.#isOver = true
    if (reason !== undefined) this.#phase = 'behind'
    if (reason === undefined) this.#over.open()
    else this.#over.fail(reason)
  }

  #refuseOver(): void {
    if (this.#isOver) throw new GatewayError('ERR_NOT_CAUGHT_UP', 'Another instance reads the events, or none does.')
  }

  #inLine<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#line.catch(() => {}).then(task)
    this.#line = done
    return done
  }
}
