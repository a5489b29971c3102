import { GatewayError, isGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import { inTime } from '../core/in-time.js'
import type { Delivery, Reader, ReplayStart } from '../core/transport.js'
import { AGAIN_MS, type Copy, closed, createGate, notRebuildable, readerEnded } from './copy.js'
import type { Journal } from './journal.js'
import { LogCheck } from './log-check.js'
import { baseRow, type Row } from './row.js'
import type { ReadModelSettings } from './settings.js'
import { Snapshots } from './snapshots.js'

const CLOSE_MS = 5000

/** All rows in this process, made of a replay: of the newest snapshot and what came after it, or of everything. */
export class OwnCopy implements Copy {
  readonly pollMs = undefined
  readonly #settings: ReadModelSettings
  readonly #journal: Journal
  readonly #snapshots: Snapshots | undefined
  #rows = new Map<string, Row>()
  /** Of the last event that is in the rows. */
  #position: string | undefined
  #hasChanged = false
  /** How many events were taken since the last snapshot. */
  #unsaved = 0
  #reader: Reader | undefined
  #isCaughtUp = false
  #isClosed = false
  #cancelSnapshot = (): void => {}
  #cancelPause = (): void => {}
  #saving: Promise<void> = Promise.resolve()

  constructor(settings: ReadModelSettings, journal: Journal) {
    this.#settings = settings
    this.#journal = journal
    const { records, projection, instance, clock, snapshotTtlMs: ttlMs } = settings
    this.#snapshots = records && new Snapshots({ records, projection, instance, clock, ttlMs })
  }

  get isReady(): boolean {
    return this.#isCaughtUp && !this.#isClosed
  }

  get size(): number {
    return this.#rows.size
  }

  async get(key: string): Promise<Row | undefined> {
    return this.#rows.get(key)
  }

  async start(): Promise<void> {
    await this.#rebuild()
    this.#schedule()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelSnapshot()
    this.#cancelPause()
    await this.#reader?.close()
    // The next start has then less to read; it does without, if the store takes too long.
    const saved = this.#saving.then(() => this.#save(AGAIN_MS))
    await inTime(saved, CLOSE_MS, this.#settings.clock)
  }

  async #rebuild(): Promise<void> {
    const snapshot = await this.#snapshots?.load()
    this.#refuseClosed()
    this.#rows = new Map(snapshot?.rows)
    this.#position = snapshot?.position
    const { load, projection } = this.#settings
    const refused = snapshot && (await this.#read({ after: snapshot.position }))
    if (snapshot && refused === undefined) return
    // The log no longer reaches back to the snapshot: what is between the two is lost to it.
    this.#rows.clear()
    this.#position = undefined
    const refusal = await this.#read('beginning')
    if (refusal === undefined) return
    if (load === undefined) throw notRebuildable(projection.name, refused ?? refusal)
    const last = await this.#read('now')
    if (last !== undefined) throw last
  }

  /** Reads on from there, and resolves when it has caught up; gives the refusal of a transport that would have gaps. */
  async #read(from: ReplayStart): Promise<GatewayError | undefined> {
    const { transport, projection } = this.#settings
    const gate = createGate()
    const check = new LogCheck(this.#settings, (error) => this.#journal.report(error))
    const take = async (message: EventMessage, delivery: Delivery) => {
      await gate.passed
      return this.#take(message, delivery, check)
    }
    const reading = { kind: 'replay', from, ...(this.#name !== undefined && { name: this.#name }) } as const
    let reader: Reader
    try {
      reader = await transport.subscribe({ channel: 'results', types: projection.types, reading }, take)
    } catch (error) {
      if (isGatewayError(error) && error.code === 'ERR_CONFIG') return error
      throw error
    }
    this.#reader = reader
    try {
      // Whoever has closed it meanwhile has found no reader.
      this.#refuseClosed()
      check.begin(reader.log)
      // What is loaded is newer than the place of the reader: whatever happens meanwhile is in one of the two, or both.
      if (typeof from === 'string') await this.#load()
      this.#refuseClosed()
      if (from === 'now') await this.#begin(reader)
      gate.open()
      await check.until(reader.caughtUp)
    } catch (error) {
      gate.fail(error)
      await reader.close()
      // No snapshot of it: the next start would begin behind what is missing.
      if (check.isRefused) this.#position = undefined
      // Only reading has shown that behind the position is another log.
      if (typeof from !== 'string' && isGatewayError(error) && error.code === 'ERR_CONFIG') return error
      throw error
    }
    this.#refuseClosed()
    this.#isCaughtUp = true
    void reader.ended?.then((reason) => this.#readAgain(reader, reason))
    return undefined
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw closed()
  }

  /** For whom a transport may keep events: what it keeps is released by snapshots, which no other instance takes. */
  get #name(): string | undefined {
    const { projection, instance } = this.#settings
    if (instance === undefined || this.#snapshots === undefined) return undefined
    return `read-model.${projection.name}.${projection.version}.${instance}`
  }

  /** What is kept from now on is of use only to a snapshot that was taken before. */
  async #begin({ keeping }: Reader): Promise<void> {
    if (keeping === undefined) return
    this.#position = keeping.from
    await this.#takeSnapshot()
  }

  async #load(): Promise<void> {
    for await (const { key, state, sequence, time } of this.#settings.load?.() ?? []) {
      this.#refuseClosed()
      this.#rows.set(key, baseRow(state, { ...(sequence && { sequence }), ...(time && { time }) }))
    }
  }

  async #take(message: EventMessage, { position }: Delivery, check: LogCheck): Promise<'ack'> {
    const entry = await this.#journal.read(message)
    if (entry !== undefined && entry !== 'parked') {
      check.look(message, entry.key)
      const folded = await this.#journal.fold(this.#rows.get(entry.key), entry)
      this.#rows.set(entry.key, folded.row)
      await this.#journal.note(entry, folded)
    }
    this.#position = position ?? this.#position
    this.#hasChanged = true
    this.#unsaved += 1
    if (this.#unsaved === this.#limit) this.#schedule()
    return 'ack'
  }

  /** A reader that has ended by itself leaves a copy that grows old: it is not ready before it has caught up again. */
  async #readAgain(reader: Reader, reason: unknown): Promise<void> {
    if (this.#reader !== reader || this.#isClosed) return
    this.#isCaughtUp = false
    this.#journal.report(readerEnded(reason))
    while (!this.#isClosed) {
      try {
        // What is kept for this reader may be released up to a snapshot only.
        const position = reader.keeping === undefined ? this.#position : undefined
        const isRefused = position === undefined || (await this.#read({ after: position })) !== undefined
        if (isRefused) await this.#rebuild()
        return
      } catch (error) {
        if (this.#isClosed) return
        this.#journal.report(error)
        await new Promise<void>((resolve) => {
          this.#cancelPause = this.#settings.clock.setTimer(resolve, AGAIN_MS, true)
        })
      }
    }
  }

  /** So many events without a snapshot are too many, as a transport that keeps them does not bring much more. */
  get #limit(): number {
    return Math.ceil((this.#reader?.keeping?.limit ?? Number.POSITIVE_INFINITY) / 2)
  }

  #schedule(afterFailure = false): void {
    if (this.#snapshots === undefined || this.#isClosed) return
    const { snapshotMs, clock } = this.#settings
    const isPressing = this.#unsaved >= this.#limit
    const run = (): void => {
      this.#saving = this.#saving
        .then(() => this.#save(this.#unsaved >= this.#limit ? 0 : snapshotMs))
        .then((isDone) => this.#schedule(!isDone))
    }
    this.#cancelSnapshot()
    const delay = isPressing ? (afterFailure ? AGAIN_MS : 0) : snapshotMs
    this.#cancelSnapshot = clock.setTimer(run, delay, true)
  }

  /** Never rejects: without a new snapshot the next start only takes longer. */
  async #save(afterMs: number): Promise<boolean> {
    try {
      // Without changes it is renewed before the store drops it.
      const age = this.#hasChanged ? afterMs : this.#settings.snapshotTtlMs / 2
      if (this.#position !== undefined && (await this.#snapshots?.isDue(age))) await this.#takeSnapshot()
      return true
    } catch (error) {
      this.#journal.report(error)
      return false
    }
  }

  async #takeSnapshot(): Promise<void> {
    const position = this.#position
    if (this.#snapshots === undefined || position === undefined) return
    const unsaved = this.#unsaved
    const keeping = this.#reader?.keeping
    this.#hasChanged = false
    this.#unsaved = 0
    try {
      // Rows are immutable, so a copy of the map is the state at this position, whatever comes while it is written.
      const isNewest = await this.#snapshots.save({ position, rows: new Map(this.#rows) })
      if (!isNewest && keeping !== undefined)
        throw new GatewayError('ERR_STORE_UNAVAILABLE', 'Another instance takes snapshots under the same name.')
      // Not before: what is in no snapshot, and kept no longer, is lost.
      keeping?.release(position)
    } catch (error) {
      this.#hasChanged = true
      this.#unsaved += unsaved
      throw error
    }
  }
}
