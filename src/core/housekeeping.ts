import type { Breaker } from './breaker.js'
import type { Operation } from './operation.js'
import type { Outbox } from './outbox.js'
import type { GatewayParts } from './parts.js'
import type { Results } from './results.js'

const EVERY_MS = 1000
const SWEEP_BATCH = 500
const READ_BATCH = 50
/** As long as this a round drops what has had its time, so that stores do not grow, and relays come to their turn. */
const PURGE_MS = 500

/** What has to be done once a second, one round after the other, whatever requests come. */
export class Housekeeping {
  readonly #parts: GatewayParts
  readonly #outbox: Outbox
  #results: Pick<Results, 'adoptOrphans'> | undefined
  #cancelTimer: (() => void) | undefined
  #round: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(parts: GatewayParts, outbox: Outbox) {
    this.#parts = parts
    this.#outbox = outbox
  }

  start(results: Pick<Results, 'adoptOrphans'>): void {
    this.#results = results
    this.#parts.load.start()
    this.#plan()
  }

  #plan(): void {
    if (this.#stopped) return
    this.#cancelTimer = this.#parts.settings.clock.setTimer(
      () => {
        this.#round = this.#runRound().then(() => this.#plan())
      },
      EVERY_MS,
      true,
    )
  }

  /** Ends the rounds, and resolves when the last one, all publishes and their marks are done. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelTimer?.()
    this.#parts.load.stop()
    await this.#round
    await this.#outbox.whenIdle()
    await this.#try(() => this.#outbox.markPublished(true))
  }

  /** An operation has changed, by whichever instance. */
  seeChange(id: string, operation?: Operation): void {
    if (operation !== undefined) this.#parts.see(operation)
    else if (this.#parts.pending.has(id) || this.#parts.open.has(id)) void this.#try(() => this.#readAgain([id]))
  }

  /** After a broken connection: what came in the meantime woke nobody here. */
  readPendingAgain(): void {
    void this.#try(async () => {
      const ids = this.#parts.pending.ids()
      for (let at = 0; at < ids.length; at += READ_BATCH) await this.#readAgain(ids.slice(at, at + READ_BATCH))
    })
  }

  async #readAgain(ids: readonly string[]): Promise<void> {
    const operations = await Promise.all(ids.map((id) => this.#parts.store.get(id)))
    for (const operation of operations) if (operation !== undefined) this.#parts.see(operation)
  }

  async #runRound(): Promise<void> {
    const { settings, open, storeBreaker, transportBreaker, bareStore, transport, storeKind } = this.#parts
    open.prune(settings.clock.monotonic())
    const probes = [this.#probe(transportBreaker, transport)]
    // One that the gateway made itself cannot be out of reach.
    if (storeKind === 'given') probes.push(this.#probe(storeBreaker, bareStore))
    await Promise.all(probes)
    if (storeBreaker.isOpen) return
    await this.#try(() => this.#outbox.markPublished())
    if (!transportBreaker.isOpen) await this.#try(() => this.#outbox.relay())
    // In a store of the gateway's own nobody else's results are kept.
    if (storeKind === 'given') await this.#try(async () => this.#results?.adoptOrphans())
    await this.#try(async () => {
      await this.#sweep()
      await this.#purge()
    })
  }

  /** Asked also while all is well: without traffic nothing else would tell that it is away. */
  async #probe(breaker: Breaker, part: { check(): Promise<void> }): Promise<void> {
    // The failure of a probe is no news: the breaker is reported when it opens.
    await breaker.probe(() => part.check()).catch(() => {})
  }

  async #sweep(): Promise<void> {
    const { store, see, lifecycle } = this.#parts
    const expired = await store.sweep(SWEEP_BATCH)
    for (const operation of expired) {
      lifecycle.note('completed', { operation })
      see(operation)
    }
    if (expired.length === SWEEP_BATCH) await this.#sweep()
  }

  async #purge(): Promise<void> {
    const { store, settings } = this.#parts
    const until = settings.clock.monotonic() + PURGE_MS
    while ((await store.purge(SWEEP_BATCH)) && settings.clock.monotonic() < until) {}
  }

  async #try(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#parts.lifecycle.error(error)
    }
  }
}
