import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  created,
  createGateway,
  type GatewayError,
  type GatewayOptions,
  type HttpCommandOptions,
  memoryStore,
  memoryTransport,
  problem,
} from 'respond-async'
import { createWorker } from 'respond-async/worker'
import { onTestFinished } from 'vitest'

interface User {
  readonly username: string
}

interface Events {
  'CreateUser::Requested': User
  'CreateUser::UserCreated': { readonly id: string }
  'CreateUser::UserNotCreated': { readonly reason: string }
}

/** A started gateway, and a worker that creates every user but `nobody`, for whom it never answers. */
export async function startGateway(options: Partial<GatewayOptions> = {}, http: HttpCommandOptions<User> = {}) {
  const transport = memoryTransport()
  const gateway = createGateway<Events>({
    transport,
    store: memoryStore(),
    waitMs: 1000,
    ...options,
  } as GatewayOptions & {
    events?: undefined
  })
  const errors: GatewayError[] = []
  gateway.on('error', (error) => errors.push(error))
  const createUser = gateway.command({
    ...http,
    publish: 'CreateUser::Requested',
    outcomes: {
      'CreateUser::UserCreated': created(({ data }) => `/users/${data.id}`),
      'CreateUser::UserNotCreated': problem(409),
    },
  })
  const worker = createWorker<Events>({ transport }).handle('CreateUser::Requested', async ({ data }) =>
    data.username === 'nobody' ? undefined : { type: 'CreateUser::UserCreated', data: { id: data.username } },
  )
  await gateway.start()
  await worker.start()
  onTestFinished(async () => {
    await gateway.close({ drainMs: 0 })
    await worker.close()
  })
  return { gateway, createUser, errors }
}

/** Serves on a port of its own until the test is over, and gives the URL. */
export async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A POST of a user, as JSON unless the headers say otherwise. */
export function post(username: string, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ username }),
  }
}
