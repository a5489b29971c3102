import { createUserGateway } from './gateway.js'
import { openParts, type Parts } from './parts.js'
import type { Framework, Settings } from './settings.js'
import { createUsers } from './users.js'
import { createUserWorker } from './worker.js'

/** What the servers serve. */
export interface Demo extends ReturnType<typeof createUserGateway> {
  readonly users: ReturnType<typeof createUsers>
}

/** A server that listens. */
export interface Listening {
  readonly port: number
  /** Takes no more connections, and resolves when the open ones have ended. */
  close(): Promise<void>
}

/** Serves the demo with one framework; rejects when the port cannot be had. */
export type Serve = (demo: Demo, port: number) => Promise<Listening>

// Only the chosen framework is loaded.
const SERVERS: Readonly<Record<Framework, () => Promise<{ readonly serve: Serve }>>> = {
  express: () => import('./server-express.js'),
  fastify: () => import('./server-fastify.js'),
  fetch: () => import('./server-fetch.js'),
}

/** A demo that runs. */
export interface RunningDemo {
  readonly port: number
  readonly gateway: Demo['gateway']
  /** Answers the requests that wait, then ends everything. */
  close(): Promise<void>
}

/** Starts everything in this process: read model, worker, gateway and server. */
export async function startDemo(settings: Settings): Promise<RunningDemo> {
  const { transport, store, close } = await openParts(settings)
  const worker = createUserWorker(transport, store.records)
  worker.on('error', (error) => console.error(`worker: ${error.message}`))
  await store.start()
  await worker.start()

  async function stopWorker() {
    // Nobody is left who reads its results, so what it still does is not waited for.
    await worker.close({ drainMs: 0 })
    await store.close()
    await close()
  }

  try {
    const served = await startServed(settings, { transport, store })
    const closeAll = async () => {
      await served.close()
      await stopWorker()
    }
    return { ...served, close: closeAll }
  } catch (error) {
    await stopWorker()
    throw error
  }
}

/** Starts read model, gateway and server, for workers that are somewhere. */
export async function startServed(settings: Settings, parts: Omit<Parts, 'close'>): Promise<RunningDemo> {
  const { framework, port, waitMs } = settings
  const { transport } = parts
  // A gateway knows of a memory store of its own that it ends with the process, and promises nothing beyond that.
  const store = settings.store === 'memory' ? undefined : parts.store
  // Before the gateway: a user is in the read model before anybody hears of the 201.
  // The log of the memory transport ends with the process: a snapshot of it could be followed by nothing.
  const users = createUsers(transport, settings.transport === 'memory' ? undefined : store)
  await users.start()
  const demo: Demo = { ...createUserGateway({ transport, waitMs, ...(store && { store }) }), users }
  const { gateway } = demo
  gateway.on('error', (error) => console.error(`gateway: ${error.message}`))

  // The gateway first: requests that wait get their answers while connections are still there.
  async function close(server?: Listening) {
    await gateway.close()
    await server?.close()
    await users.close()
  }

  try {
    await gateway.start()
    const { serve } = await SERVERS[framework]()
    const server = await serve(demo, port)
    return { port: server.port, gateway, close: () => close(server) }
  } catch (error) {
    await close()
    throw error
  }
}
