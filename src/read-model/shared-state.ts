import type { Clock } from '../core/clock.js'
import { createId } from '../core/ids.js'
import type { RecordSpace } from '../core/store.js'
import type { Counts } from './journal.js'
import type { Projection } from './projection.js'
import { prefixOf } from './snapshots.js'

/** How a shared copy stands, in a record that its keeper writes every second. */
export interface SharedState {
  /** The instance that reads the events; undefined when it has given that up. */
  readonly keeper?: string | undefined
  /** Grows with every keeper, and whenever one begins anew. */
  readonly term: number
  /** The term in which the rows were begun: those of others are of no use. */
  readonly rows: number
  /** Of an event that is in the rows, with all before it; undefined while they could not be gone on with. */
  readonly position?: string | undefined
  /** `taken-over`: by a keeper that reads what it has missed; `behind`: nobody knows how far. */
  readonly phase: 'behind' | 'taken-over' | 'caught-up'
  readonly told: Counts
}

/** What it takes to share a state. */
export interface SharedStateOptions {
  readonly records: RecordSpace
  readonly projection: Projection
  readonly clock: Clock
  /** A keeper that has written nothing for so long has lost its office. */
  readonly leaseMs: number
  /** Called whenever a state is seen or written. */
  onChange(): void
}

/** The state of a shared copy. Every write is a compare-and-set, so that it is made by the keeper, or not at all. */
export class SharedStateRecord {
  readonly #options: SharedStateOptions
  readonly #key: string
  readonly #id: string
  #state: SharedState | undefined
  #version = 0
  /** When this version was first asked for and found. */
  #since = 0
  /** How many versions have been seen. */
  #seen = 0

  constructor(options: SharedStateOptions) {
    this.#options = options
    this.#key = `${prefixOf(options.projection)}state`
    this.#id = createId(options.clock.now())
  }

  /** As it was read, or written, last. */
  get current(): SharedState | undefined {
    return this.#state
  }

  /** True when nobody reads the events: whoever sees that takes over. */
  get isFree(): boolean {
    const keeper = this.#state?.keeper
    // Its own, where the answer to a write was lost.
    if (keeper === undefined || keeper === this.#id) return true
    return this.#options.clock.monotonic() - this.#since >= this.#options.leaseMs
  }

  /** When the keeper was last seen to be caught up, by a state that it has written since this instance looks. */
  get caughtUpAt(): number | undefined {
    return this.#state?.phase === 'caught-up' && this.#seen > 1 ? this.#since : undefined
  }

  async look(): Promise<void> {
    const askedAt = this.#options.clock.monotonic()
    const record = await this.#options.records.get(this.#key)
    if (record?.version === this.#version) return
    const state = record && (JSON.parse(Buffer.from(record.value).toString()) as SharedState)
    this.#note(state, record?.version ?? 0, askedAt)
  }

  /** Makes this instance the keeper; false when another one was faster. */
  async take(): Promise<boolean> {
    const { term = 0, rows = 0, phase = 'behind', ...state } = this.#state ?? { told: { parked: 0, waiting: 0 } }
    const isKnown = phase !== 'behind'
    return this.#put({ ...state, rows, keeper: this.#id, term: term + 1, phase: isKnown ? 'taken-over' : phase })
  }

  /** Writes what has changed, as the keeper of that term; false when it is that no more. */
  async write(term: number, change: Partial<SharedState>): Promise<boolean> {
    while (this.#state?.keeper === this.#id && this.#state.term === term) {
      if (await this.#put({ ...this.#state, ...change })) return true
      // By itself, perhaps, as the answer to a write may be lost.
      await this.look()
    }
    return false
  }

  async #put(state: SharedState): Promise<boolean> {
    const askedAt = this.#options.clock.monotonic()
    const value = Buffer.from(JSON.stringify(state))
    const version = await this.#options.records.put({ key: this.#key, value, ifVersion: this.#version })
    if (version !== undefined) this.#note(state, version, askedAt)
    return version !== undefined
  }

  #note(state: SharedState | undefined, version: number, at: number): void {
    this.#state = state
    this.#version = version
    this.#since = at
    this.#seen += 1
    this.#options.onChange()
  }
}
