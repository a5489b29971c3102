import { Breaker } from '../core/breaker.js'
import { Deadlines } from '../core/deadlines.js'
import type { RecordSpace } from '../core/store.js'
import { AGAIN_MS, type Copy, closed, createGate } from './copy.js'
import type { Counts, Journal } from './journal.js'
import { Keeper } from './keeper.js'
import type { Row } from './row.js'
import type { ReadModelSettings } from './settings.js'
import { SharedRows } from './shared-rows.js'
import { SharedStateRecord } from './shared-state.js'

const LEASE_MS = 10_000
const LOOK_MS = 500

/**
 * One copy for all instances, in the record space of the store. One of them, the keeper, reads the events; the others
 * stand by, and know from the state that it writes whether the copy is caught up.
 */
export class SharedCopy implements Copy {
  readonly pollMs = 50
  readonly size = undefined
  readonly #settings: ReadModelSettings
  readonly #journal: Journal
  readonly #state: SharedStateRecord
  readonly #rows: SharedRows
  readonly #leaseMs: number
  readonly #deadlines: Deadlines
  readonly #breaker: Breaker
  readonly #ready = createGate()
  #keeper: Keeper | undefined
  #running: Promise<void> | undefined
  /** When the copy was last known to have everything. */
  #caughtUpAt: number | undefined
  #isStarted = false
  #isClosed = false
  #wake = (): void => {}

  constructor(settings: ReadModelSettings, journal: Journal, records: RecordSpace) {
    this.#settings = settings
    this.#journal = journal
    const { clock, projection, storeTimeoutMs: timeoutMs } = settings
    this.#leaseMs = Math.max(LEASE_MS, 3 * timeoutMs)
    this.#state = new SharedStateRecord({
      records,
      projection,
      clock,
      leaseMs: this.#leaseMs,
      onChange: () => this.#note(),
    })
    this.#rows = new SharedRows(records, projection)
    this.#deadlines = new Deadlines(clock)
    const codes = { unavailable: 'ERR_STORE_UNAVAILABLE', uncertain: 'ERR_STORE_UNAVAILABLE' } as const
    this.#breaker = new Breaker({ ...codes, clock, deadlines: this.#deadlines, timeoutMs, onChange: () => {} })
  }

  get isReady(): boolean {
    if (!this.#isStarted || this.#isClosed || this.#breaker.isOpen || this.#caughtUpAt === undefined) return false
    return this.#settings.clock.monotonic() - this.#caughtUpAt < this.#leaseMs
  }

  get told(): Counts | undefined {
    return this.#keeper === undefined ? this.#state.current?.told : undefined
  }

  async start(): Promise<void> {
    this.#running = this.#run()
    await this.#ready.passed
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#ready.fail(closed())
    this.#wake()
    await this.#keeper?.end()
    await this.#running
    this.#deadlines.close()
  }

  /** In time, or not at all: reads are what clients wait for. */
  async get(key: string): Promise<Row | undefined> {
    if (!this.#breaker.admits()) throw this.#breaker.refusal()
    return this.#breaker.run(async () => (await this.#rows.find(this.#state.current?.rows ?? 0, key))?.row)
  }

  /** Stands by and reads, in turns. Until the start is done its errors end it; then it is tried again. */
  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#standBy()
        await this.#keep()
      } catch (error) {
        if (!this.#isStarted) return this.#ready.fail(error)
        if (!this.#isClosed) this.#journal.report(error)
        await this.#pause(AGAIN_MS)
      }
    }
  }

  /** Resolves when this instance is the keeper. */
  async #standBy(): Promise<void> {
    for (;;) {
      if (this.#isClosed) throw closed()
      await this.#state.look()
      if (this.#state.isFree && (await this.#state.take())) return
      await this.#pause(LOOK_MS)
    }
  }

  async #keep(): Promise<void> {
    const keeper = new Keeper({
      ...{ settings: this.#settings, journal: this.#journal, rows: this.#rows },
      ...{ state: this.#state, leaseMs: this.#leaseMs },
    })
    this.#keeper = keeper
    try {
      await (this.#isClosed ? keeper.end() : keeper.run())
    } finally {
      this.#keeper = undefined
    }
  }

  /** The state has changed, or this instance has written it. */
  #note(): void {
    const { current, caughtUpAt } = this.#state
    if (current?.phase === 'behind') this.#caughtUpAt = undefined
    if (caughtUpAt === undefined) return
    this.#caughtUpAt = caughtUpAt
    this.#isStarted = true
    this.#ready.open()
  }

  #pause(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#settings.clock.setTimer(resolve, ms, this.#isStarted)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}
