import { memoryTransport } from 'respond-async'
import { createUserGateway } from './gateway.js'
import type { Framework, Settings } from './settings.js'
import { startUsersProjection, type UsersProjection } from './users-projection.js'
import { createUserWorker } from './worker.js'

/** What the servers serve. */
export interface Demo extends ReturnType<typeof createUserGateway> {
  readonly users: UsersProjection
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

/** Starts projection, worker, gateway and server. */
export async function startDemo({ framework, port, waitMs }: Settings): Promise<RunningDemo> {
  const transport = memoryTransport()
  // Before the gateway: a user is in the projection before anybody hears of the 201.
  const users = await startUsersProjection(transport)
  const worker = createUserWorker(transport).on('error', (error) => console.error(`worker: ${error.message}`))
  await worker.start()
  const demo: Demo = { ...createUserGateway(transport, waitMs), users }
  const { gateway } = demo
  gateway.on('error', (error) => console.error(`gateway: ${error.message}`))
  await gateway.start()

  // The gateway first: requests that wait get their answers while worker and connections are still there.
  async function close(server?: Listening) {
    await gateway.close()
    await server?.close()
    await users.close()
    // Nobody is left who reads its results, so what it still does is not waited for.
    await worker.close({ drainMs: 0 })
  }

  try {
    const { serve } = await SERVERS[framework]()
    const server = await serve(demo, port)
    return { port: server.port, gateway, close: () => close(server) }
  } catch (error) {
    await close()
    throw error
  }
}
