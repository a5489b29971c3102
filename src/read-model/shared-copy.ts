import { Breaker } from '../core/breaker.js'
import { Deadlines } from '../core/deadlines.js'
import { GatewayError, isGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import type { RecordSpace } from '../core/store.js'
import type { Reader, Settlement } from '../core/transport.js'
import { AGAIN_MS, type Copy, closed, createGate, notRebuildable, readerEnded } from './copy.js'
import type { Entry, Journal } from './journal.js'
import { baseRow, decodeRow, encodeRow, type Folded, type Row } from './row.js'
import type { ReadModelSettings } from './settings.js'
import { prefixOf } from './snapshots.js'

const CONCURRENCY = 64
const LEASE_MS = 30_000
const RENEW_MS = 10_000
const LOOK_MS = 200

/**
 * One copy for all instances, in the record space of the store. They share a durable queue, and each event is settled
 * once the store has what it changed.
 */
export class SharedCopy implements Copy {
  readonly pollMs = 50
  readonly size = undefined
  readonly #settings: ReadModelSettings
  readonly #journal: Journal
  readonly #records: RecordSpace
  readonly #prefix: string
  readonly #deadlines: Deadlines
  readonly #breaker: Breaker
  /** The last of those who wait for their turn with a key. */
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #built = createGate()
  #reader: Reader | undefined
  #isBuilt = false
  #isReading = false
  #isClosed = false

  constructor(settings: ReadModelSettings, journal: Journal, records: RecordSpace) {
    this.#settings = settings
    this.#journal = journal
    this.#records = records
    this.#prefix = prefixOf(settings.projection)
    const { clock, storeTimeoutMs: timeoutMs } = settings
    this.#deadlines = new Deadlines(clock)
    const codes = { unavailable: 'ERR_STORE_UNAVAILABLE', uncertain: 'ERR_STORE_UNAVAILABLE' } as const
    this.#breaker = new Breaker({ ...codes, clock, deadlines: this.#deadlines, timeoutMs, onChange: () => {} })
  }

  get isReady(): boolean {
    return this.#isBuilt && this.#isReading && !this.#isClosed && !this.#breaker.isOpen
  }

  async start(): Promise<void> {
    // Before the past is read: what happens from now on is in the queue, whatever the past turns out to be.
    await this.#read()
    await this.#build()
    if (this.#isClosed) throw closed()
    this.#isBuilt = true
    this.#built.open()
  }

  async #read(): Promise<void> {
    const { transport, projection } = this.#settings
    const group = `read-model.${projection.name}.${projection.version}`
    const reading = { kind: 'shared', group, concurrency: CONCURRENCY } as const
    const take = async (message: EventMessage): Promise<Settlement> => {
      await this.#built.passed
      return this.#take(message, () => this.#isClosed)
    }
    const reader = await transport.subscribe({ channel: 'results', types: projection.types, reading }, take)
    this.#reader = reader
    this.#isReading = true
    void reader.ended?.then((reason) => this.#readAgain(reader, reason))
    // A close in the meantime has closed the one before.
    if (this.#isClosed) await reader.close()
  }

  /** While nobody reads the queue the copy grows old: it is not ready. */
  async #readAgain(reader: Reader, reason: unknown): Promise<void> {
    if (this.#reader !== reader || this.#isClosed) return
    this.#isReading = false
    this.#journal.report(readerEnded(reason))
    while (!this.#isClosed) {
      try {
        return await this.#read()
      } catch (error) {
        this.#journal.report(error)
        await this.#pause(AGAIN_MS)
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#built.fail(closed())
    await this.#reader?.close()
    this.#deadlines.close()
  }

  /** In time, or not at all: reads are what clients wait for. */
  async get(key: string): Promise<Row | undefined> {
    if (!this.#breaker.admits()) throw this.#breaker.refusal()
    return this.#breaker.run(async () => (await this.#find(key))?.row)
  }

  async #find(key: string): Promise<{ readonly row: Row; readonly version: number } | undefined> {
    const record = await this.#records.get(this.#rowKey(key))
    return record && { row: decodeRow(Buffer.from(record.value).toString()), version: record.version }
  }

  /** One at a time for each key, in their order: the next one waits until the store has this one, or it is over. */
  async #take(message: EventMessage, isOver: () => boolean): Promise<Settlement> {
    const entry = await this.#journal.read(message)
    if (entry === undefined || entry === 'parked') return entry === undefined ? 'ack' : 'park'
    const before = this.#turns.get(entry.key) ?? Promise.resolve()
    const turn = before.catch(() => {}).then(() => this.#write(entry, isOver))
    this.#turns.set(entry.key, turn)
    try {
      const { verdict } = await turn
      return verdict === 'poison' ? 'park' : 'ack'
    } finally {
      if (this.#turns.get(entry.key) === turn) this.#turns.delete(entry.key)
    }
  }

  /** Given back to the queue while the store is away, it would be overtaken, and put aside after some attempts. */
  async #write(entry: Entry, isOver: () => boolean): Promise<Folded> {
    let made: Folded | undefined
    let kept: Folded | undefined
    while (kept === undefined) {
      if (isOver()) throw closed()
      try {
        const known = await this.#find(entry.key)
        const folded = await this.#journal.fold(known?.row, entry)
        const isKnown = folded.verdict === 'known'
        // By an attempt whose answer was lost, perhaps: what it has made of the event is still to be told.
        made = isKnown && made !== undefined ? { ...made, row: folded.row } : folded
        const isWritten = isKnown || (await this.#put(entry.key, folded.row, known?.version ?? 0))
        // Where another instance was faster, at once again.
        if (isWritten) kept = made
      } catch (error) {
        if (isGatewayError(error) && error.code !== 'ERR_STORE_UNAVAILABLE') throw error
        await this.#pause(LOOK_MS)
      }
    }
    await this.#journal.note(entry, kept)
    return kept
  }

  async #put(key: string, row: Row, ifVersion: number): Promise<boolean> {
    const write = { key: this.#rowKey(key), value: Buffer.from(encodeRow(row)), ifVersion }
    return (await this.#records.put(write)) !== undefined
  }

  /** Makes the rows of the past, once for all instances: the others wait until they are there. */
  async #build(): Promise<void> {
    const builtKey = `${this.#prefix}built`
    while (!this.#isClosed && (await this.#records.get(builtKey)) === undefined) {
      const lease = { key: `${this.#prefix}building`, value: new Uint8Array(0), ttlMs: LEASE_MS }
      const version = await this.#records.put({ ...lease, ifVersion: 0 })
      if (version === undefined) {
        await this.#pause(LOOK_MS)
        continue
      }
      const renewing = this.#renew(lease, version)
      try {
        await this.#readPast(renewing.lost)
        await this.#records.put({ key: builtKey, value: new Uint8Array(0) })
      } finally {
        await renewing.end()
      }
    }
  }

  /** Keeps a lease until it is ended; `lost` rejects when another instance has taken it. */
  #renew(lease: { readonly key: string; readonly value: Uint8Array; readonly ttlMs: number }, first: number) {
    const { clock } = this.#settings
    const gate = createGate()
    let version = first
    let cancel = (): void => {}
    const renew = async (): Promise<void> => {
      const next = await this.#records.put({ ...lease, ifVersion: version })
      if (next === undefined) throw new GatewayError('ERR_STORE_UNAVAILABLE', 'The rebuild has lost its lease.')
      version = next
      schedule()
    }
    const schedule = (): void => {
      cancel = clock.setTimer(() => void renew().catch(gate.fail), RENEW_MS, true)
    }
    schedule()
    const end = async (): Promise<void> => {
      cancel()
      await this.#records.delete(lease.key, version).catch(() => false)
    }
    return { lost: gate.passed, end }
  }

  async #readPast(lost: Promise<void>): Promise<void> {
    const { transport, projection, load } = this.#settings
    const reading = { kind: 'replay', from: 'beginning' } as const
    for await (const { key, state, sequence, time } of load?.() ?? []) {
      // What is there already comes from an attempt that was broken off, and may be newer.
      await this.#put(key, baseRow(state, { ...(sequence && { sequence }), ...(time && { time }) }), 0)
    }
    let reader: Reader
    let isOver = false
    try {
      const subscription = { channel: 'results', types: projection.types, reading } as const
      reader = await transport.subscribe(subscription, (message) => this.#take(message, () => isOver))
    } catch (error) {
      const isRefused = isGatewayError(error) && error.code === 'ERR_CONFIG'
      if (isRefused && load !== undefined) return
      throw isRefused ? notRebuildable(projection.name, error) : error
    }
    const givenUp = createGate()
    void lost.catch(givenUp.fail)
    void this.#built.passed.catch(givenUp.fail)
    try {
      void reader.caughtUp.then(givenUp.open, givenUp.fail)
      await givenUp.passed
    } finally {
      isOver = true
      await reader.close()
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#settings.clock.setTimer(resolve, ms))
  }

  #rowKey(key: string): string {
    return `${this.#prefix}row/${encodeURIComponent(key)}`
  }
}
