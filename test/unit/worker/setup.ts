import { createWorker, type WorkerEvents, type WorkerOptions } from 'respond-async/worker'
import type { EventInit, EventMessage } from '../../../src/core/event.js'
import { parseData, toMessage } from '../../../src/core/event.js'
import type { PublishOptions, Transport } from '../../../src/core/transport.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { memoryTransport } from '../../../src/transports/memory/index.js'

/** The events of these tests. */
interface Events {
  Requested: { name: string }
  'Requested::Progress': number
  Made: { id: string }
  NotMade: { reason: string }
}

type Announced = { [Name in keyof WorkerEvents]: WorkerEvents[Name][] }

/** The longest pause between attempts with the default options: a jitter never exceeds it. */
export const ALL_PAUSES_MS = 100 + 200 + 400 + 800

/** A worker on a broker of its own whose time stands still, and all that comes out of it. */
export async function setup(options: Partial<WorkerOptions> = {}, wrap = (transport: Transport) => transport) {
  const clock = createFakeClock()
  const broker = memoryTransport({ clock })
  const results: EventMessage[] = []
  await broker.start()
  await broker.subscribe({ channel: 'results', types: [], reading: { kind: 'own' } }, async (message) => {
    results.push(message)
    return 'ack'
  })
  const make = (more: Partial<WorkerOptions> = {}) => {
    const told: Announced = { handled: [], retry: [], parked: [], requeued: [], error: [] }
    const worker = createWorker<Events>({ transport: wrap(broker), clock, ...options, ...more })
    for (const name of Object.keys(told) as (keyof WorkerEvents)[]) {
      worker.on(name, (payload) => void (told[name] as unknown[]).push(payload))
    }
    return { worker, told }
  }
  /** Publishes a request event; without data of its own it asks for Ada. */
  const send = async (init: Partial<EventInit> = {}) => {
    const request = toMessage({ type: 'Requested', source: 'test', correlationId: 'op-1', data: ada, ...init }, clock)
    await broker.publish(request, { channel: 'requests' })
    await clock.flush()
    return request
  }
  return { clock, broker, results, make, ...make(), send }
}

export const ada = { name: 'Ada' }
export const made = { type: 'Made', data: { id: '1' } } as const

/** Types and data of events, for comparisons. */
export function brief(events: readonly EventMessage[]): [string, unknown][] {
  return events.map((event) => [event.type, parseData(event)])
}

/** A transport like the given one, but for how it publishes. */
export function withPublish(
  transport: Transport,
  publish: (message: EventMessage, options: PublishOptions) => Promise<void>,
): Transport {
  return {
    name: transport.name,
    durability: transport.durability,
    start: (listener) => transport.start(listener),
    close: () => transport.close(),
    subscribe: (subscription, onMessage) => transport.subscribe(subscription, onMessage),
    check: () => transport.check(),
    publish,
  }
}

/** A promise that a test settles. */
export function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
