import { type GatewayError, isGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import { inTime } from '../core/in-time.js'
import type { Delivery, Reader, ReplayStart } from '../core/transport.js'
import { AGAIN_MS, type Copy, createGate, notRebuildable, readerEnded } from './copy.js'
import type { Journal } from './journal.js'
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
  #reader: Reader | undefined
  #isCaughtUp = false
  #isClosed = false
  #cancelSnapshot = (): void => {}
  #cancelPause = (): void => {}
  #saving: Promise<void> = Promise.resolve()

  constructor(settings: ReadModelSettings, journal: Journal) {
    this.#settings = settings
    this.#journal = journal
    const { store, projection, clock, snapshotTtlMs: ttlMs } = settings
    this.#snapshots = store && new Snapshots({ records: store.records, projection, clock, ttlMs })
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
    await this.#saving
    // The next start has then less to read; it does without, if the store takes too long.
    await inTime(this.#save(AGAIN_MS), CLOSE_MS, this.#settings.clock)
  }

  async #rebuild(): Promise<void> {
    const snapshot = await this.#snapshots?.load()
    this.#rows = new Map(snapshot?.rows)
    this.#position = snapshot?.position
    const { load, projection } = this.#settings
    let refusal = snapshot && (await this.#read({ after: snapshot.position }))
    if (snapshot && refusal === undefined) return
    // The log no longer reaches back to the snapshot: what is between the two is lost to it.
    this.#rows.clear()
    this.#position = undefined
    refusal = await this.#read('beginning')
    if (refusal !== undefined && load !== undefined) refusal = await this.#read('now')
    if (refusal !== undefined) throw notRebuildable(projection.name, refusal)
  }

  /** Reads on from there, and resolves when it has caught up; gives the refusal of a transport that would have gaps. */
  async #read(from: ReplayStart): Promise<GatewayError | undefined> {
    const { transport, projection } = this.#settings
    const gate = createGate()
    const take = async (message: EventMessage, delivery: Delivery) => {
      await gate.passed
      return this.#take(message, delivery)
    }
    const reading = { kind: 'replay', from } as const
    let reader: Reader
    try {
      reader = await transport.subscribe({ channel: 'results', types: projection.types, reading }, take)
    } catch (error) {
      if (isGatewayError(error) && error.code === 'ERR_CONFIG') return error
      throw error
    }
    this.#reader = reader
    try {
      // What is loaded is newer than the place of the reader: whatever happens meanwhile is in one of the two, or both.
      if (typeof from === 'string') await this.#load()
      gate.open()
      await reader.caughtUp
    } catch (error) {
      gate.fail(error)
      await reader.close()
      throw error
    }
    this.#isCaughtUp = true
    void reader.ended?.then((reason) => this.#readAgain(reader, reason))
    return undefined
  }

  async #load(): Promise<void> {
    for await (const { key, state, sequence, time } of this.#settings.load?.() ?? []) {
      this.#rows.set(key, baseRow(state, { ...(sequence && { sequence }), ...(time && { time }) }))
    }
  }

  async #take(message: EventMessage, { position }: Delivery): Promise<'ack'> {
    const entry = await this.#journal.read(message)
    if (entry !== undefined && entry !== 'parked') {
      const folded = await this.#journal.fold(this.#rows.get(entry.key), entry)
      this.#rows.set(entry.key, folded.row)
      await this.#journal.note(entry, folded)
    }
    this.#position = position ?? this.#position
    this.#hasChanged = true
    return 'ack'
  }

  /** A reader that has ended by itself leaves a copy that grows old: it is not ready before it has caught up again. */
  async #readAgain(reader: Reader, reason: unknown): Promise<void> {
    if (this.#reader !== reader || this.#isClosed) return
    this.#isCaughtUp = false
    this.#journal.report(readerEnded(reason))
    while (!this.#isClosed) {
      try {
        const refused = this.#position === undefined || (await this.#read({ after: this.#position })) !== undefined
        if (refused) await this.#rebuild()
        return
      } catch (error) {
        this.#journal.report(error)
        await new Promise<void>((resolve) => {
          this.#cancelPause = this.#settings.clock.setTimer(resolve, AGAIN_MS, true)
        })
      }
    }
  }

  #schedule(): void {
    if (this.#snapshots === undefined || this.#isClosed) return
    const { snapshotMs, clock } = this.#settings
    this.#cancelSnapshot = clock.setTimer(
      () => {
        this.#saving = this.#save(snapshotMs).then(() => this.#schedule())
      },
      snapshotMs,
      true,
    )
  }

  /** Never rejects: without a new snapshot the next start only takes longer. */
  async #save(afterMs: number): Promise<void> {
    try {
      if (!this.#hasChanged || this.#position === undefined || !(await this.#snapshots?.isDue(afterMs))) return
      this.#hasChanged = false
      // Rows are immutable, so a copy of the map is the state at this position, whatever comes while it is written.
      await this.#snapshots?.save({ position: this.#position, rows: new Map(this.#rows) })
    } catch (error) {
      this.#hasChanged = true
      this.#journal.report(error)
    }
  }
}
