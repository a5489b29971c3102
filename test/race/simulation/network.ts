import {
  type EventMessage,
  GatewayError,
  type MessageHandler,
  type Operation,
  type Reader,
  type Store,
  type Subscription,
  type Transport,
} from '../../../src/index.js'
import type { History } from './history.js'
import type { SimProcess } from './process.js'
import type { Random } from './random.js'
import type { Trace } from './trace.js'
import type { VirtualTime } from './virtual-time.js'

/** What becomes of a call: a fault before or after it does its work; `lost` says nothing, so that a time-out must. */
type Fate = 'fine' | 'refused' | 'lost' | 'broken-after' | 'lost-after'

/** What the network joins, and what is wrong with it. */
export interface NetworkInit {
  readonly random: Random
  readonly time: VirtualTime
  readonly trace: Trace
  readonly history: History
  readonly store: Store
  readonly transport: Transport
  /** Whether the store tells its users of changes. */
  readonly announces: boolean
  /** Leaves out the shared reading of results. */
  readonly noRecorder: boolean
}

/** A part that cannot be reached for a time. */
export interface Outage {
  readonly part: 'store' | 'broker'
  readonly fromMs: number
  readonly untilMs: number
}

const FAULTS = 0.04
const NEVER = new Promise<never>(() => {})

/** Everything between processes and the parts that they share: delays, losses, and errors before and after the work. */
export class Network {
  /** From then on nothing is lost or slow. */
  isHealed = false
  /** Operations that the store has made. */
  readonly created = new Set<string>()
  /** When a gateway asked for the record of each operation. */
  readonly askedAt = new Map<string, number>()
  readonly #init: NetworkInit
  readonly #outage: Outage

  constructor(init: NetworkInit) {
    const { random, time } = init
    this.#init = init
    const fromMs = time.now() + random.between(0, 12_000)
    this.#outage = {
      part: random.chance(0.5) ? 'store' : 'broker',
      fromMs,
      untilMs: fromMs + random.between(500, 3000),
    }
  }

  /** A process's view of the store. */
  storeOf(process: SimProcess): Store {
    const { store, announces, trace, time } = this.#init
    const wrap = <Args extends unknown[], T>(method: string, call: (...args: Args) => Promise<T>) => {
      return (...args: Args) => {
        const work = () => call(...args)
        const [about] = args
        const id = typeof about === 'string' ? about : (about as { id?: string } | undefined)?.id
        if (id !== undefined && method === 'create') this.askedAt.set(id, time.now())
        return this.#call(process, { part: 'store', label: `${method} ${trace.nameOf(id)}`, refusal: storeAway, work })
      }
    }
    return {
      ...{ name: store.name, durability: store.durability, records: store.records },
      start: async () => {},
      close: async () => {},
      create: wrap('create', async (operation) => {
        const made = await store.create(operation)
        this.created.add(made.operation.id)
        return made
      }),
      find: wrap('find', (key) => store.find(key)),
      complete: wrap('complete', (id, ending, records) => store.complete(id, ending, records)),
      progress: wrap('progress', (id, event) => store.progress(id, event)),
      get: wrap('get', (id) => store.get(id)),
      leaseUnpublished: wrap('lease', (request) => store.leaseUnpublished(request)),
      markPublished: wrap('mark', (ids, token) => store.markPublished(ids, token)),
      sweep: wrap('sweep', (limit) => store.sweep(limit)),
      purge: wrap('purge', (limit) => store.purge(limit)),
      check: wrap('check', () => store.check()),
      ...(announces && { watch: (listener: Listener) => this.#watch(process, listener) }),
    }
  }

  /** A process's connection to the broker. */
  transportOf(process: SimProcess): Transport {
    const { transport, history, trace, time } = this.#init
    return {
      ...{ name: transport.name, durability: transport.durability },
      start: async () => {},
      close: async () => {},
      check: () => {
        const work = () => transport.check()
        return this.#call(process, { part: 'broker', label: 'check of the broker', refusal: brokerAway, work })
      },
      publish: (message, options) => {
        const refusal = this.#init.random.chance(0.3) ? rejected : brokerAway
        const work = async () => {
          await transport.publish(message, options)
          if (!history.published.has(message.id)) history.published.set(message.id, time.now())
        }
        const label = `publish ${trace.nameOf(message.correlationId)}`
        return this.#call(process, { part: 'broker', label, refusal, work })
      },
      subscribe: (subscription, onMessage) => this.#subscribe(process, subscription, onMessage),
    }
  }

  /** How long something travels. */
  latency(): number {
    const { random } = this.#init
    if (this.isHealed || random.chance(0.9)) return random.between(1, 5)
    return random.chance(0.8) ? random.between(20, 200) : random.between(300, 1200)
  }

  async #call<T>(process: SimProcess, call: Call<T>): Promise<T> {
    const { trace, time } = this.#init
    const fate = this.#fate(call.part)
    trace.add(process.name, call.label, fate)
    // The work is done also when the process crashes meanwhile: it was on its way.
    await time.sleep(this.latency())
    if (fate === 'refused') throw call.refusal()
    if (fate === 'lost') await NEVER
    const value = await call.work()
    await process.travel(this.latency())
    if (fate === 'broken-after') throw new Error('The connection was reset.')
    if (fate === 'lost-after') await NEVER
    return value
  }

  #fate(part: Outage['part']): Fate {
    const { random, time } = this.#init
    const roll = random.next()
    const isQuiet = random.chance(0.5)
    if (this.isHealed) return 'fine'
    const { fromMs, untilMs } = this.#outage
    if (part === this.#outage.part && time.now() >= fromMs && time.now() < untilMs) return isQuiet ? 'lost' : 'refused'
    if (roll < FAULTS) return isQuiet ? 'lost' : 'refused'
    if (roll < 2 * FAULTS) return isQuiet ? 'lost-after' : 'broken-after'
    return 'fine'
  }

  async #subscribe(process: SimProcess, subscription: Subscription, onMessage: MessageHandler): Promise<Reader> {
    const { transport, noRecorder, random, trace } = this.#init
    const { kind } = subscription.reading
    if (noRecorder && kind === 'shared' && subscription.channel === 'results') return NO_READER
    const reader = await transport.subscribe(subscription, (message, delivery) => {
      return process.hold(async () => {
        await process.travel(this.latency())
        if (kind === 'own' && !this.isHealed && random.chance(FAULTS)) return 'ack'
        trace.add(process.name, `${kind} ${message.type}`, trace.nameOf(message.correlationId))
        const settlement = await onMessage(message, delivery)
        // The settlement may be lost too; then the message comes again.
        await process.travel(this.latency())
        return !this.isHealed && random.chance(FAULTS) ? 'requeue' : settlement
      })
    })
    process.onCrash(() => void reader.close())
    return reader
  }

  async #watch(process: SimProcess, listener: Listener): Promise<() => Promise<void>> {
    const unwatch = await this.#init.store.watch?.((id, operation) => {
      void process.travel(this.latency()).then(() => listener(id, operation))
    })
    process.onCrash(() => void unwatch?.())
    return async () => void (await unwatch?.())
  }
}

interface Call<T> {
  readonly part: Outage['part']
  readonly label: string
  readonly refusal: () => Error
  readonly work: () => Promise<T>
}

type Listener = (id: string, operation?: Operation) => void

const NO_READER: Reader = { caughtUp: Promise.resolve(), close: async () => {} }

const storeAway = () => new GatewayError('ERR_STORE_UNAVAILABLE', 'The store is away.', { outcome: 'not-accepted' })
const brokerAway = () =>
  new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'The broker is away.', { outcome: 'not-accepted' })
const rejected = () => new GatewayError('ERR_PUBLISH_REJECTED', 'The broker has no room.', { outcome: 'not-accepted' })

/** A result event for a request event. */
export function resultOf(request: EventMessage, type: string, id: string): EventMessage {
  const { time, contentType, correlationId } = request
  const rest = { time, contentType, headers: {}, body: Buffer.from('{}') }
  return { id, type, source: 'worker', correlationId, causationId: request.id, ...rest }
}
