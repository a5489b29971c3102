import type { EventEmitter } from 'node:events'
import Fastify from 'fastify'
import { created, createGateway, problem } from 'respond-async'
import { handle, operations, problems } from 'respond-async/fastify'
import { BECAUSE, fromEnvironment, SETTINGS } from './config.js'
import type { Events } from './events.js'
import { type Entry, type Manner, now } from './history.js'
import { makeParts } from './parts.js'
import { watchStalls } from './stalls.js'
import { makeWorker } from './worker-of-orders.js'

// A gateway in a process of its own: it is frozen and killed, and tells its parent what excuses it.
const config = fromEnvironment()
const { index, port } = config

function tell(entry: Entry): void {
  // A parent that is gone, or ends, needs no more.
  if (process.connected) process.send?.(entry, () => {})
}

const parts = await makeParts(config)
const gateway = createGateway<Events>({ transport: parts.transport, store: parts.store, service: 'chaos', ...SETTINGS })
const placeOrder = gateway.command({
  publish: 'Order::Requested',
  outcomes: {
    'Order::Placed': created(({ data }) => `/orders/${data.id}`),
    'Order::Rejected': problem({ status: 409, detail: 'Every tenth order is rejected.' }),
  },
})

const partOf = { store: 'store', transport: 'broker' } as const
gateway.on('unavailable', ({ part }) =>
  tell({ kind: 'known', gateway: index, part: partOf[part], isDown: true, at: now() }),
)
gateway.on('available', ({ part }) =>
  tell({ kind: 'known', gateway: index, part: partOf[part], isDown: false, at: now() }),
)
gateway.on('error', (error) => {
  if (process.env.CHAOS_VERBOSE)
    process.stderr.write(`gateway ${index}: ${error.code} ${error.message} ${error.cause ?? ''}\n`)
})
watchStalls((stall) => tell({ kind: 'stall', who: index, ...stall }))

// Longer than clients keep idle connections: who closes first must not be the one who is asked next.
// While it drains the gateway answers, and says why, and not Fastify.
const app = Fastify({ keepAliveTimeout: 120_000, return503OnClosing: false })
const asked = new Map<string, number>()
app.addHook('onRequest', async ({ id }) => void asked.set(id, now()))
app.addHook('onResponse', async ({ id }) => void asked.delete(id))
app.addHook('onRequestAbort', async ({ id, headers }) => {
  const sinceMs = now() - (asked.get(id) ?? now())
  asked.delete(id)
  if (sinceMs > 10_000)
    process.stderr.write(
      `gateway ${index} left ${headers['idempotency-key']} without answer for ${Math.round(sinceMs)} ms\n`,
    )
})
// What a 202 does not say to clients: why it came instead of the result.
const reasons = new Map<string, string>()
gateway.on('deferred', ({ operation, because }) => reasons.set(operation.id, because))
app.addHook('onSend', async (_request, reply) => {
  const id = String(reply.getHeader('location')).split('/').at(-1) ?? ''
  const because = reasons.get(id)
  if (because !== undefined) reply.header(BECAUSE, because)
  reasons.delete(id)
})
app.register(problems(gateway))
app.register(operations(gateway))
app.post('/orders', handle(placeOrder))
app.get('/usage', () => {
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  const resources = process.getActiveResourcesInfo()
  return { heapUsed, rss, counters: gateway.counters, resources, listeners: mostListeners() }
})

/** How many listen to one thing: the process, or a server or connection of its. */
function mostListeners(): number {
  // The only way to reach connections that the transport and the store have made for themselves.
  const { _getActiveHandles: handles } = process as unknown as { _getActiveHandles(): Partial<EventEmitter>[] }
  const counts = [process, ...handles.call(process)].flatMap((each) =>
    (each.eventNames?.() ?? []).map((name) => each.listenerCount?.(name) ?? 0),
  )
  return Math.max(...counts)
}

await gateway.start()
if (config.transport === 'memory')
  await makeWorker({ transport: parts.bareTransport, records: parts.store.records }, config).start()
await app.listen({ port, host: '127.0.0.1' })

process.on('message', ({ part, manner }: { part: 'broker' | 'store'; manner?: Manner }) => parts.fail(part, manner))
process.on('disconnect', () => process.exit())
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)))
process.send?.({ ready: true })
