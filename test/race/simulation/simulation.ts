import type { Operation, Operations, Reply, RequestOptions, Store } from '../../../src/index.js'
import type { Core } from '../support/mutants.js'
import { violationsOf } from './checker.js'
import { Client } from './clients.js'
import { History } from './history.js'
import { Network } from './network.js'
import { SimProcess } from './process.js'
import { Random } from './random.js'
import { Trace } from './trace.js'
import { VirtualTime } from './virtual-time.js'
import { Workers } from './workers.js'

/** What is simulated: the package, sound or broken. */
export interface Variant {
  readonly core: Core
  readonly breakStore?: (store: Store) => Store
  readonly noRecorder?: boolean
}

/** What came of a simulation. */
export interface Outcome {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
}

/** A gateway and the process it runs in. */
export interface SimGateway {
  readonly process: SimProcess
  readonly operations: Operations
  ask(data: object, options: RequestOptions): Promise<Reply>
  pending(): number
  close(): Promise<void>
}

const CHAOS_MS = 8000
const QUIET_WITHIN_MS = 90_000
const LOOK_EVERY_MS = 250
const TIMEOUT_MS = 300
const RELAY_AFTER_MS = 2000
/** Less than what the relay waits for without three time-outs: else it takes over what its gateway still works on. */
const STILL_MS = 1000

/** Plays one seed: chaos for some seconds, then everything heals, and what is left must come to its end. */
export async function simulate(seed: number, variant: Variant): Promise<Outcome> {
  const simulation = new Simulation(seed, variant)
  await simulation.run()
  return { violations: simulation.violations, trace: simulation.trace.lines }
}

class Simulation {
  readonly violations: string[] = []
  readonly trace: Trace
  readonly #random: Random
  readonly #time = new VirtualTime()
  readonly #history = new History()
  readonly #variant: Variant
  readonly #store: Store
  readonly #network: Network
  readonly #workers: Workers
  readonly #gateways: (SimGateway | undefined)[]
  readonly #isLongLived: boolean
  readonly #limits: { readonly maxPending: number; readonly maxOpen: number }
  #isHealed = false
  #incarnations = 0
  #busy = 0

  constructor(seed: number, variant: Variant) {
    const random = new Random(seed)
    const time = this.#time
    this.#random = random
    this.#variant = variant
    this.#isLongLived = seed % 4 !== 0
    this.#limits = { maxPending: seed % 5 === 0 ? 2 : 1000, maxOpen: seed % 7 === 0 ? 5 : 1000 }
    this.#gateways = Array.from({ length: random.between(2, 3) }, () => undefined)
    this.trace = new Trace(() => time.now())
    const made = variant.core.memoryStore({ clock: time })
    this.#store = variant.breakStore?.(made) ?? made
    const transport = variant.core.memoryTransport({ clock: time })
    void this.#store.start()
    void transport.start()
    const shared = { random, time, trace: this.trace, history: this.#history }
    const store = this.#store
    const announces = seed % 2 === 0
    this.#network = new Network({ ...shared, store, transport, announces, noRecorder: variant.noRecorder === true })
    this.#workers = new Workers({ ...shared, transport })
  }

  async run(): Promise<void> {
    await this.#workers.start()
    for (const slot of this.#gateways.keys()) this.#doing(this.#live(slot))
    const shared = { random: this.#random, time: this.#time, trace: this.trace, history: this.#history }
    const anyGateway = () => this.#random.pick(this.#gateways.filter((gateway) => gateway !== undefined))
    const clients = this.#random.between(4, 8)
    for (let number = 0; number < clients; number += 1) this.#doing(new Client({ ...shared, anyGateway }, number).run())
    await this.#time.pass(() => false, CHAOS_MS)
    this.#isHealed = true
    this.#network.isHealed = true
    this.#workers.isHealed = true
    await this.#settle()
    await this.#judge()
  }

  #doing(task: Promise<void>): void {
    this.#busy += 1
    void task.then(
      () => {
        this.#busy -= 1
      },
      (error: unknown) => this.violations.push(`the simulation fell over: ${(error as Error).stack}`),
    )
  }

  /** The life of one place for a gateway: it comes up, and it crashes or is closed, again and again. */
  async #live(slot: number): Promise<void> {
    while (!this.#isHealed) {
      const gateway = await this.#start(slot)
      this.#gateways[slot] = gateway
      await this.#time.sleep(this.#random.between(400, 4000))
      if (!this.#isHealed && this.#random.chance(0.3)) await this.#standStill(gateway)
      if (this.#isHealed) return
      this.#gateways[slot] = undefined
      if (this.#random.chance(0.3)) await this.#shutDown(gateway)
      else this.#crash(gateway)
      await this.#time.sleep(this.#random.between(0, 1500))
    }
    this.#gateways[slot] = await this.#start(slot)
  }

  async #start(slot: number): Promise<SimGateway> {
    this.#incarnations += 1
    const name = `gateway${slot}.${this.#incarnations}`
    const skewMs = this.#random.chance(0.7) ? 0 : this.#random.between(-300_000, 300_000)
    const process = new SimProcess(name, this.#time, skewMs)
    const gateway = this.#variant.core.createGateway({
      clock: process.clock,
      storeTimeoutMs: TIMEOUT_MS,
      publishTimeoutMs: TIMEOUT_MS,
      relayAfterMs: RELAY_AFTER_MS,
      drainMs: 1000,
      operationTtlMs: this.#isLongLived ? 3_600_000 : 3000,
      ...this.#limits,
      transport: this.#network.transportOf(process),
      store: this.#network.storeOf(process),
    })
    const command = gateway.command({
      publish: 'Do',
      outcomes: { Done: 'succeeded', Refused: 'failed' },
      key: (data) => (data as { order?: string }).order,
    })
    gateway.on('error', ({ code }) => this.trace.add(name, 'error', code))
    gateway.on('created', ({ operation: { id, request } }) => {
      const times = { askedAt: this.#network.askedAt.get(id) ?? 0, takenAt: this.#time.now() }
      if (request?.key !== undefined) this.#history.queued(`${name} ${request.key}`, { id, ...times })
    })
    this.trace.add(name, 'starts')
    await gateway.start()
    return {
      ...{ process, operations: gateway.operations },
      ask: (data, options) => command.request(data, options),
      pending: () => gateway.counters.pending,
      close: () => gateway.close(),
    }
  }

  async #standStill({ process }: SimGateway): Promise<void> {
    this.trace.add(process.name, 'stands still')
    process.standStill(this.#random.between(50, STILL_MS))
    await this.#time.sleep(this.#random.between(0, 2000))
  }

  #crash({ process }: SimGateway): void {
    this.trace.add(process.name, 'crashes')
    process.crash()
  }

  async #shutDown(gateway: SimGateway): Promise<void> {
    const { process } = gateway
    this.trace.add(process.name, 'closes')
    await gateway.close()
    this.trace.add(process.name, 'is closed')
    // Requests that came in its last moments are still being answered.
    await process.travel(3 * TIMEOUT_MS)
    await this.#time.sleep(3 * TIMEOUT_MS)
    this.#expectNothingLeft(gateway)
  }

  /** Lets time pass until the clients are through and every operation has ended. */
  async #settle(): Promise<void> {
    let isQuiet = false
    const look = async () => {
      while (!isQuiet) {
        await this.#time.sleep(LOOK_EVERY_MS)
        isQuiet = this.#busy === 0 && (await this.#running()) === 0
      }
    }
    void look()
    if (!(await this.#time.pass(() => isQuiet, QUIET_WITHIN_MS))) {
      this.violations.push(
        `${this.#busy} are busy and ${await this.#running()} operations run ${QUIET_WITHIN_MS} ms later`,
      )
    }
  }

  async #running(): Promise<number> {
    let running = 0
    for (const id of this.#network.created) if ((await this.#store.get(id))?.state === 'running') running += 1
    return running
  }

  async #judge(): Promise<void> {
    const last = new Map<string, Operation | undefined>()
    for (const id of this.#network.created) last.set(id, await this.#store.get(id))
    const evidence = { history: this.#history, last, answerMs: 2 * TIMEOUT_MS, isLongLived: this.#isLongLived }
    for (const violation of violationsOf(evidence)) this.violations.push(this.#named(violation))
    for (const gateway of this.#gateways) {
      if (gateway === undefined) continue
      if (gateway.pending() !== 0) this.violations.push(`${gateway.process.name}: ${gateway.pending()} still wait`)
      let isClosed = false
      void gateway.close().then(() => {
        isClosed = true
      })
      await this.#time.pass(() => isClosed, 10_000)
      if (isClosed) this.#expectNothingLeft(gateway)
      else this.violations.push(`${gateway.process.name} does not close`)
    }
  }

  #expectNothingLeft({ process, pending }: SimGateway): void {
    if (pending() !== 0) this.violations.push(`${process.name}: ${pending()} wait after its end`)
    if (process.timers !== 0) this.violations.push(`${process.name}: ${process.timers} timers are left after its end`)
  }

  /** With the names of the trace instead of random ids. */
  #named(text: string): string {
    return text.replace(/[0-9A-HJKMNP-TV-Z]{26}/g, (id) => this.trace.nameOf(id))
  }
}
