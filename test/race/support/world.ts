import type fc from 'fast-check'
import type {
  Created,
  EventMessage,
  Gateway,
  GatewayOptions,
  Lease,
  Operation,
  Reply,
  RequestOptions,
  Settled,
  Store,
  WaitOptions,
} from '../../../src/index.js'
import type { Core } from './mutants.js'
import { type Fate, ScheduledBroker } from './scheduled-broker.js'
import { scheduledStore } from './scheduled-store.js'
import { StepClock } from './step-clock.js'

/** What a scenario must not see. Other errors are faults of the test, not findings. */
export class Violation extends Error {}

/** Fails the scenario when the condition does not hold. */
export function insist(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Violation(message)
}

/** What a call came to; both undefined while it is under way. */
export interface Answer<T> {
  value?: T
  error?: unknown
  /** The number of the step at which it came. */
  at?: number
}

/** One gateway of the world. */
export interface Site {
  readonly gateway: Gateway<Record<string, unknown>>
  ask(options?: RequestOptions): Answer<Reply>
  get(id: string): Answer<Operation | undefined>
  wait(id: string, options: WaitOptions): Answer<Operation | undefined>
  cancel(id: string): Answer<Settled | undefined>
  close(): Answer<void>
  /** From now on nothing that this gateway asks for is answered, and it reads nothing. */
  crash(): void
  isDead: boolean
}

/** What differs from one world to another. */
export interface WorldInit {
  readonly scheduler: fc.Scheduler
  readonly core: Core
  readonly breakStore?: ((store: Store, pause: () => Promise<void>) => Store) | undefined
  /** One more choice for the scenario. */
  readonly coin: boolean
}

const DONE = Promise.resolve()
const NEVER = new Promise<never>(() => {})
const LONG_MS = 50_000
const MOST_TIMERS = 200

/** Gateways around one store and one broker, where whatever is on its way arrives in an order that fast-check chooses. */
export class World {
  readonly clock: StepClock
  /** As it is, without steps: for looking at what was decided. */
  readonly store: Store
  readonly coin: boolean
  /** The types of the results that a worker publishes for each request event. */
  results: readonly string[] = ['Done']
  fate: Fate = 'confirmed'
  /** Called when a worker gets a request event. */
  onWork: (message: EventMessage) => void = () => {}
  /** Store methods that fail, and how often. */
  readonly failures = new Map<keyof Store, number>()
  /** Operations that the store does not have any more, although nobody has ended them. */
  readonly deleted = new Set<string>()
  /** Request events in the order in which gateways asked to publish them. */
  readonly published: { readonly message: EventMessage; readonly at: number }[] = []
  /** When a timer fired last while the scenario played. */
  timerAt: number | undefined
  /** An error that is neither an answer nor a finding: something fell over. */
  mishap: unknown
  /** When the store did what, by operation. */
  readonly createdAt = new Map<string, number>()
  readonly endedAt = new Map<string, number>()
  readonly leasedAt = new Map<string, number>()
  readonly #scheduler: fc.Scheduler
  readonly #core: Core
  readonly #broker: ScheduledBroker
  readonly #sites: Site[] = []
  readonly #sightings: Operation[] = []
  readonly #unanswered = new Set<{ site: Site; what: string }>()
  #starting = false
  #steps = 0
  #events = 0

  constructor({ scheduler, core, breakStore, coin }: WorldInit) {
    this.#scheduler = scheduler
    this.#core = core
    this.coin = coin
    this.clock = new StepClock((callback) => void this.step('hop').then(callback))
    const store = core.memoryStore({ clock: this.clock })
    this.store = breakStore?.(store, () => this.step('pause')) ?? store
    // Held open beyond the gateways.
    void this.store.start()
    this.#broker = new ScheduledBroker({
      fateOf: () => this.fate,
      work: (message) => {
        this.onWork(message)
        return this.results.map((type) => this.result(message, type))
      },
      asked: (message) => this.published.push({ message, at: this.#steps }),
    })
  }

  /** How many steps there were; tells what was before what. */
  get now(): number {
    return this.#steps
  }

  /** A result event for a request event. */
  result(request: EventMessage, type: string): EventMessage {
    this.#events += 1
    const { time, headers, contentType } = request
    const id = `result-${this.#events}`
    const rest = { time, headers, contentType, body: Buffer.from('{}') }
    return { id, type, source: 'worker', correlationId: request.correlationId, causationId: request.id, ...rest }
  }

  /** A step whose place among the others fast-check chooses. */
  async step(label: string): Promise<void> {
    if (!this.#starting) await this.#scheduler.schedule(DONE, label)
    this.#steps += 1
  }

  /** Does something at a step of its own. */
  later(label: string, action: () => void): void {
    void this.step(label).then(action)
  }

  /** Starts one more gateway; to be called before `play`. */
  async site(options: Partial<GatewayOptions> = {}): Promise<Site> {
    const travel = async (label: string) => {
      await this.step(label)
      if (site.isDead) await NEVER
    }
    const gateway = this.#core.createGateway({
      ...{ storeTimeoutMs: LONG_MS, publishTimeoutMs: LONG_MS, waitMs: 30_000, ...options, clock: this.clock },
      transport: this.#broker.connect(travel),
      store: scheduledStore(this.store, {
        ...{ travel, done: this.#done, fail: this.#fail },
        isDeleted: (id) => this.deleted.has(id),
      }),
    })
    const definition = { publish: 'Do', outcomes: { Done: 'succeeded', Refused: 'failed' } } as const
    const command = gateway.command(definition)
    gateway.on('error', (error) => this.#noteMishap(error))
    this.#starting = true
    await gateway.start()
    this.#starting = false
    const { operations } = gateway
    const site: Site = {
      ...{ gateway, isDead: false },
      ask: (request) => this.#track(site, 'request', () => command.request({ n: 1 }, request)),
      get: (id) => this.#track(site, 'get', () => operations.get(id)),
      wait: (id, wait) => this.#track(site, 'wait', () => operations.wait(id, wait)),
      cancel: (id) => this.#track(site, 'cancel', () => operations.cancel(id)),
      close: () => this.#track(site, 'close', () => gateway.close()),
      crash: () => {
        site.isDead = true
      },
    }
    this.#sites.push(site)
    return site
  }

  /** At a step of its own, lets the next timer fire if it is due within a time. */
  tick(withinMs: number): void {
    this.later('timer', () => {
      if (this.clock.fireNext(withinMs)) this.timerAt = this.#steps
    })
  }

  /** Lets everything happen, and so many times the next timer fire that is due within a time. */
  async play({ timers = 0, withinMs = 0 } = {}): Promise<void> {
    for (let count = 0; count < timers; count += 1) this.tick(withinMs)
    await this.#scheduler.waitIdle()
  }

  /** Lets time pass until all calls are answered and all operations have ended, and looks at what everybody saw. */
  async finish(): Promise<void> {
    for (let count = 0; !(await this.#isQuiet()); count += 1) {
      const unanswered = [...this.#waiting()].map(({ what }) => what)
      insist(count < MOST_TIMERS, `never answered: ${unanswered.join(', ') || 'an operation'}`)
      this.clock.fireNext(Number.POSITIVE_INFINITY)
      await this.#scheduler.waitIdle()
    }
    for (const { gateway, isDead } of this.#sites) {
      const { pending } = gateway.counters
      insist(isDead || pending === 0, `${pending} still wait`)
    }
    for (const seen of this.#sightings) {
      const last = await this.store.get(seen.id)
      insist(last?.state === seen.state, `${seen.state} was seen, and later ${last?.state}`)
      insist(last.result?.id === seen.result?.id, 'one result was seen, and later another one')
    }
  }

  /** The message ids of the request events that were published, by operation. */
  requests(): ReadonlyMap<string, ReadonlySet<string>> {
    const ids = new Map<string, Set<string>>()
    for (const { message } of this.published) {
      const known = ids.get(message.correlationId ?? '') ?? new Set()
      ids.set(message.correlationId ?? '', known.add(message.id))
    }
    return ids
  }

  #noteMishap(error: unknown): void {
    const causes = [error, (error as { cause?: unknown } | undefined)?.cause]
    this.mishap ??= causes.find((each) => each instanceof TypeError || each instanceof ReferenceError)
  }

  #track<T>(site: Site, what: string, call: () => Promise<T>): Answer<T> {
    const answer: Answer<T> = {}
    const entry = { site, what }
    this.#unanswered.add(entry)
    const settle = (settled: Answer<T>) => {
      Object.assign(answer, settled, { at: this.#steps })
      this.#unanswered.delete(entry)
      const seen = operationIn(settled.value)
      if (seen !== undefined && seen.state !== 'running') this.#sightings.push(seen)
    }
    void this.step(`${what} begins`)
      .then(call)
      .then(
        (value) => settle({ value }),
        (error: unknown) => {
          this.#noteMishap(error)
          settle({ error })
        },
      )
    return answer
  }

  #waiting() {
    return [...this.#unanswered].filter(({ site }) => !site.isDead)
  }

  async #isQuiet(): Promise<boolean> {
    if (this.#waiting().length > 0) return false
    for (const id of this.createdAt.keys()) {
      if (!this.deleted.has(id) && (await this.store.get(id))?.state === 'running') return false
    }
    return true
  }

  readonly #done = (method: keyof Store, value: unknown): void => {
    if (method === 'create') this.#noteCreated(value as Created)
    if (method === 'complete') this.#noteEnded(value as Settled | undefined)
    if (method === 'leaseUnpublished') this.#noteLent(value as Lease)
  }

  #noteCreated({ created, operation }: Created): void {
    if (created) this.createdAt.set(operation.id, this.#steps)
  }

  #noteEnded(settled: Settled | undefined): void {
    if (settled?.verdict === 'won') this.endedAt.set(settled.operation.id, this.#steps)
  }

  #noteLent({ operations }: Lease): void {
    for (const { id } of operations) this.leasedAt.set(id, this.#steps)
  }

  readonly #fail = (method: keyof Store): void => {
    const left = this.failures.get(method) ?? 0
    if (left === 0) return
    this.failures.set(method, left - 1)
    throw new Error('The connection was reset.')
  }
}

function operationIn(value: unknown): Operation | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if ('operation' in value) return value.operation as Operation
  return 'state' in value ? (value as Operation) : undefined
}
