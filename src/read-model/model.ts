import type { EventMessage } from '../core/event.js'
import type { HttpReply, HttpRequest } from '../http/types.js'
import { type Copy, closed } from './copy.js'
import { answerRead, type ReadOptions } from './handler.js'
import { Journal, type ReadModelEvents } from './journal.js'
import { OwnCopy } from './own-copy.js'
import { assertOwner } from './owner.js'
import { readEvent } from './projection.js'
import { isAt } from './row.js'
import { type ReadModelOptions, type ReadModelSettings, resolveSettings } from './settings.js'
import { SharedCopy } from './shared-copy.js'
import type { Copied, ReadEntry, ReadModelStatus, WhenAtOptions } from './types.js'

/** A local read-only copy, fed by events. */
export interface ReadModel<State> extends Copied<State>, AsyncDisposable {
  /** Connects, rebuilds, and resolves when everything that had happened when it was called is in the copy. */
  start(): Promise<void>
  /** Further calls give the same promise. */
  close(): Promise<void>
  /** Listens to `parked` and `error`. */
  on<Name extends keyof ReadModelEvents>(name: Name, listener: (payload: ReadModelEvents[Name]) => void): this
  /** Answers a read over HTTP; adapters call it. */
  answer(request: HttpRequest, options?: ReadOptions<State>): Promise<HttpReply>
}

/**
 * Makes a read model. Start it before the gateway, so that what the gateway has answered can be read.
 * @throws GatewayError ERR_CONFIG when an option is not valid.
 * @example
 * const users = createReadModel({ transport, store, projection })
 * await users.start()
 * app.get('/users/:id', read(users, { gateway }))
 */
export function createReadModel<State>(options: ReadModelOptions<State>): ReadModel<State> {
  return new EventReadModel<State>(resolveSettings(options))
}

class EventReadModel<State> implements ReadModel<State> {
  readonly #settings: ReadModelSettings
  readonly #journal: Journal
  readonly #copy: Copy
  readonly #ends: (() => Promise<void>)[] = []
  #isConnected = false
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(settings: ReadModelSettings) {
    const { copy, records } = settings
    this.#settings = settings
    this.#journal = new Journal(settings)
    this.#copy =
      copy === 'shared' && records !== undefined
        ? new SharedCopy(settings, this.#journal, records)
        : new OwnCopy(settings, this.#journal)
  }

  get name(): string {
    return this.#settings.projection.name
  }

  get status(): ReadModelStatus {
    const { isReady, size, told } = this.#copy
    const { parked, waiting, newest } = told ?? this.#journal.counts
    return { isReady, isConnected: this.#isConnected, size, parked, waiting, lagMs: newest?.lagMs }
  }

  start(): Promise<void> {
    this.#starting ??= this.#start().catch(async (error: unknown) => {
      await this.#release()
      throw error
    })
    return this.#starting
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async get(key: string): Promise<ReadEntry<State> | undefined> {
    const row = await this.#copy.get(key)
    if (row?.state === undefined) return undefined
    return { key, state: row.state as State, time: row.time, sequence: row.sequence }
  }

  async whenAt(event: EventMessage, { waitMs = 1000, signal }: WhenAtOptions = {}): Promise<boolean> {
    const { projection } = this.#settings
    // What changes no state is in every copy, and so is what is parked: it will never be more than that.
    const wanted = projection.types.includes(event.type)
      ? await readEvent(projection, event).catch(() => {})
      : undefined
    const key = wanted?.key
    if (wanted === undefined || key === undefined) return true
    const found = async () => isAt(await this.#copy.get(key), wanted)
    return this.#journal.waits.until(key, found, { waitMs, pollMs: this.#copy.pollMs, signal })
  }

  on<Name extends keyof ReadModelEvents>(name: Name, listener: (payload: ReadModelEvents[Name]) => void): this {
    this.#journal.emitter.on(name, listener as never)
    return this
  }

  answer(request: HttpRequest, options: ReadOptions<State> = {}): Promise<HttpReply> {
    return answerRead(this, request, options)
  }

  async #start(): Promise<void> {
    const { transport, store, records, projection, storeTimeoutMs } = this.#settings
    const set = (isConnected: boolean) => () => {
      this.#isConnected = isConnected
    }
    await transport.start({ down: set(false), up: set(true) })
    this.#ends.push(() => transport.close())
    this.#isConnected = true
    await store?.start({ callTimeoutMs: storeTimeoutMs })
    if (store !== undefined) this.#ends.push(() => store.close())
    if (records !== undefined) await assertOwner(records, projection)
    await this.#journal.start()
    // The close has undone what there was, and would have to wait for all that begins now.
    if (this.#closing !== undefined) throw closed()
    this.#ends.push(() => this.#copy.close())
    await this.#copy.start()
  }

  /** Breaks off a start that is under way, and undoes what it has done since. */
  async #close(): Promise<void> {
    await this.#release()
    await this.#starting?.catch(() => {})
    await this.#release()
  }

  /** Undoes the start, last step first: the reader goes before the store. */
  async #release(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
  }
}
