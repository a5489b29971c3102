import { GatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import { inTime } from '../core/in-time.js'
import type { Delivery, Reader } from '../core/transport.js'
import { AGAIN_MS, type Copy, closed, readerEnded } from './copy.js'
import type { Journal } from './journal.js'
import type { LogCheck } from './log-check.js'
import { type Replayed, replay } from './replay.js'
import type { Row } from './row.js'
import { loadedRow, type ReadModelSettings } from './settings.js'
import { Snapshots } from './snapshots.js'

const CLOSE_MS = 5000

/** All rows in this process, made of a replay: of the newest snapshot and what came after it, or of everything. */
export class OwnCopy implements Copy, Replayed {
  readonly pollMs = undefined
  readonly told = undefined
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
    await this.#read()
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

  /** Behind what is in memory, where nothing is kept that is released up to a snapshot only; else behind the newest snapshot. */
  async *positions(): AsyncGenerator<string> {
    if (this.#position !== undefined && this.#reader?.keeping === undefined) yield this.#position
    const snapshot = await this.#snapshots?.load()
    this.#rows = new Map(snapshot?.rows)
    this.#position = snapshot?.position
    if (snapshot !== undefined) yield snapshot.position
  }

  use(reader: Reader): void {
    // Whoever has closed it meanwhile has found no reader.
    this.#refuseClosed()
    this.#reader = reader
  }

  async begin(reader: Reader, from: 'beginning' | 'now'): Promise<void> {
    await this.discard()
    this.#rows.clear()
    for await (const loaded of this.#settings.load?.() ?? []) {
      this.#refuseClosed()
      this.#rows.set(loaded.key, loadedRow(loaded))
    }
    this.#refuseClosed()
    if (from === 'beginning' || reader.keeping === undefined) return
    // What is kept from now on is of use only to a snapshot that was taken before.
    this.#position = reader.keeping.from
    await this.#takeSnapshot()
  }

  /** No snapshot of it: the next start would begin behind what is missing. */
  async discard(): Promise<void> {
    this.#position = undefined
  }

  report(error: GatewayError): void {
    this.#journal.report(error)
  }

  async #read(): Promise<void> {
    const reader = await replay(this.#settings, this)
    this.#refuseClosed()
    this.#isCaughtUp = true
    void reader.ended?.then((reason) => this.#readAgain(reader, reason))
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw closed()
  }

  /** For whom a transport may keep events: what it keeps is released by snapshots, which no other instance takes. */
  get name(): string | undefined {
    const { projection, instance } = this.#settings
    if (instance === undefined || this.#snapshots === undefined) return undefined
    return `read-model.${projection.name}.${projection.version}.${instance}`
  }

  async take(message: EventMessage, { position }: Delivery, check: LogCheck): Promise<'ack'> {
    const entry = await this.#journal.read(message)
    if (entry !== undefined && entry !== 'parked') {
      check.look(message, entry.key)
      const folded = await this.#journal.fold(this.#rows.get(entry.key), entry)
      this.#rows.set(entry.key, folded.row)
      await this.#journal.park(folded.poison)
      this.#journal.note(entry, folded.row)
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
        return await this.#read()
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
