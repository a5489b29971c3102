import { createGateway, type Gateway, type GatewayOptions, memoryStore, memoryTransport } from 'respond-async'
import type { Command } from '../../../src/core/command.js'
import type { CommandDefinition } from '../../../src/core/definition.js'
import type { GatewayError } from '../../../src/core/errors.js'
import { type Event, type EventInit, type EventMessage, toMessage } from '../../../src/core/event.js'
import type { LifecycleEvent } from '../../../src/core/lifecycle.js'
import type { Store } from '../../../src/core/store.js'
import type {
  Delivery,
  MessageHandler,
  Reading,
  Settlement,
  Transport,
  TransportListener,
} from '../../../src/core/transport.js'
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js'
import { type FaultPlan, faultyStore, faultyTransport } from '../../../src/testing/faulty.js'

export interface Events {
  Ask: { n: number; key?: string }
  Done: { n: number }
  NotDone: { reason: string }
  Half: { percent: number }
  Stop: { id: string }
}

type Definition = CommandDefinition<Events, 'Ask', 'Done' | 'NotDone'>

export interface WorldOptions {
  readonly clock?: FakeClock
  /** What happens on the way to the transport, for the gateway only: the worker's way is sound. */
  readonly transportFaults?: FaultPlan
  readonly storeFaults?: FaultPlan
  readonly transport?: Transport
  /** Undefined for the gateway's own. */
  readonly store?: Store | 'none'
  readonly options?: Partial<GatewayOptions>
  readonly command?: Partial<Definition>
  /** Sees each request event as a worker would. */
  readonly worker?: (request: EventMessage, world: World) => unknown
  readonly isStarted?: boolean
}

export interface World {
  readonly clock: FakeClock
  readonly transport: Transport
  readonly gateway: Gateway<Events>
  readonly ask: Command<Events['Ask'], Event>
  /** What has reached the worker. */
  readonly requests: EventMessage[]
  /** Names of the lifecycle events, in their order. */
  readonly noted: LifecycleEvent[]
  readonly errors: GatewayError[]
  /** Publishes a result of the request as the worker does, and lets it take its way. */
  answer(request: EventMessage | undefined, type?: string, more?: Partial<EventInit>): Promise<EventMessage>
}

/** A gateway with one command on a fake clock, a worker that does what it is told, and all that was noted. */
export async function openWorld(init: WorldOptions = {}): Promise<World> {
  const clock = init.clock ?? createFakeClock()
  const transport = init.transport ?? memoryTransport({ clock })
  const given = init.store
  const store = given === undefined || given === 'none' ? given : faulty(given, init.storeFaults)
  const gateway = createGateway<Events>({
    ...{ clock, transport: init.transportFaults ? faultyTransport(transport, init.transportFaults) : transport },
    ...(store && { store }),
    ...init.options,
  })
  const ask = gateway.command({
    ...{ publish: 'Ask', outcomes: { Done: 'succeeded', NotDone: 'failed' } },
    ...{ progress: ['Half'], cancel: 'Stop', key: (data) => data.key },
    ...init.command,
  } as Definition)
  const world: World = {
    ...{ clock, transport, gateway, ask, requests: [], noted: [], errors: [] },
    async answer(request, type = 'Done', more = {}) {
      const { id, correlationId } = request ?? {}
      const data = type === 'NotDone' ? { reason: 'no' } : { n: 1 }
      const message = toMessage({ type, source: 'worker', correlationId, causationId: id, data, ...more }, clock)
      await transport.publish(message, { channel: 'results' })
      await clock.flush()
      return message
    },
  }
  listen(world)
  await transport.start()
  await transport.subscribe(
    { channel: 'requests', types: ['Ask', 'Stop'], reading: { kind: 'shared', group: 'worker' } },
    async (request) => {
      world.requests.push(request)
      await init.worker?.(request, world)
      return 'ack' as const
    },
  )
  if (init.isStarted !== false) await gateway.start()
  return world
}

function faulty(store: Store, plan: FaultPlan | undefined): Store {
  return plan === undefined ? store : faultyStore(store, plan)
}

function listen({ gateway, noted, errors }: World): void {
  const { pending: _, open: __, ...counters } = gateway.counters
  for (const name of Object.keys(counters) as LifecycleEvent[]) gateway.on(name, () => noted.push(name))
  gateway.on('error', (error) => errors.push(error))
}

/** The memory store without its watch, as a database that tells nobody of changes. */
export function quietStore(clock: FakeClock): Store {
  const store = memoryStore({ clock })
  return {
    name: store.name,
    durability: store.durability,
    records: store.records,
    start: () => store.start(),
    close: () => store.close(),
    create: (operation) => store.create(operation),
    find: (key) => store.find(key),
    complete: (id, ending, records) => store.complete(id, ending, records),
    progress: (id, event) => store.progress(id, event),
    get: (id) => store.get(id),
    leaseUnpublished: (request) => store.leaseUnpublished(request),
    markPublished: (ids, token) => store.markPublished(ids, token),
    sweep: (limit) => store.sweep(limit),
    purge: (limit) => store.purge(limit),
    check: () => store.check(),
  }
}

/** A transport without any ways of its own: messages go where the test sends them, when it does. */
export interface DirectTransport extends Transport {
  readonly published: EventMessage[]
  listener: TransportListener | undefined
  /** What `publish` does with a request event; nothing by default. */
  onPublish: (message: EventMessage) => Promise<void>
  /** Hands a message to the readers of one kind, and gives what they make of it. */
  deliver(kind: Reading['kind'], message: EventMessage, how?: number | Delivery): Promise<Settlement | undefined>
}

export function directTransport(): DirectTransport {
  const handlers = new Map<Reading['kind'], MessageHandler>()
  return {
    name: 'direct',
    durability: { class: 'durable' },
    published: [],
    listener: undefined,
    onPublish: async () => {},
    async start(listener) {
      this.listener ??= listener
    },
    close: async () => {},
    check: async () => {},
    publish(message) {
      this.published.push(message)
      return this.onPublish(message)
    },
    async subscribe({ channel, reading }, onMessage) {
      if (channel === 'results') handlers.set(reading.kind, onMessage)
      return { caughtUp: Promise.resolve(), close: async () => void handlers.delete(reading.kind) }
    },
    async deliver(kind, message, how = 1) {
      return handlers.get(kind)?.(message, typeof how === 'number' ? { attempt: how } : how)
    },
  }
}

/** A result of a request, as a worker makes it. */
export function resultOf(
  request: EventMessage | undefined,
  clock: FakeClock,
  more: Partial<EventInit> = {},
): EventMessage {
  const { id, correlationId } = request ?? {}
  return toMessage({ type: 'Done', source: 'worker', correlationId, causationId: id, data: { n: 1 }, ...more }, clock)
}

/** Something that is held back until the test lets it go. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** Gives whether a promise has settled, without waiting for it. */
export function watch<T>(promise: Promise<T>): { readonly promise: Promise<T>; readonly isSettled: boolean } {
  const state = { promise, isSettled: false }
  const settled = () => {
    state.isSettled = true
  }
  promise.then(settled, settled)
  return state
}
