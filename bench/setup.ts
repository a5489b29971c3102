import {
  type Command,
  created,
  createGateway,
  type Event,
  type EventMessage,
  type Gateway,
  problem,
  type Store,
  type Transport,
} from 'respond-async'
import { type MemoryTransport, memoryTransport } from 'respond-async/memory'

/** The events of the bench. */
export interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string; username: string }
  'CreateUser::UserNotCreated': { reason: string }
}

/** A command of the bench. */
export type CreateUser = Command<Events['CreateUser::Requested'], Event>

/** Which parts a gateway of the bench has. */
export type StoreKind = 'memory' | 'none'

const MANY = 10_000_000

/** Limits that let a million requests wait. */
export const VAST = { maxPending: MANY, maxOpen: MANY, maxOperations: 2_000_000, waitMs: 5000 } as const

/** A transport with the smallest back end there can be: it answers each request, unless the user is called `silent`. */
export async function createBackEnd(): Promise<MemoryTransport> {
  const transport = memoryTransport({ maxQueued: MANY })
  await transport.start()
  const types = ['CreateUser::Requested']
  const reading = { kind: 'shared', group: 'workers' } as const
  await transport.subscribe({ channel: 'requests', types, reading }, async (request) => {
    const { username } = JSON.parse(Buffer.from(request.body).toString()) as { username: string }
    if (username !== 'silent') await transport.publish(toResult(request, username), { channel: 'results' })
    return 'ack'
  })
  return transport
}

/** A started gateway with one command, and the limits that it has by itself unless others are given. */
export async function createBenchGateway(
  transport: Transport,
  store: StoreKind | Store,
  limits: Partial<Record<keyof typeof VAST | 'storeTimeoutMs' | 'publishTimeoutMs', number>> = {},
): Promise<{ readonly gateway: Gateway<Events>; readonly createUser: CreateUser }> {
  const gateway = createGateway<Events>({ transport, ...limits, ...(store !== 'memory' && { store }) })
  const createUser = gateway.command({
    publish: 'CreateUser::Requested',
    outcomes: {
      'CreateUser::UserCreated': created(({ data }) => `/users/${data.id}`),
      'CreateUser::UserNotCreated': problem(409),
    },
  })
  await gateway.start()
  return { gateway, createUser }
}

let results = 0

function toResult(request: EventMessage, username: string): EventMessage {
  results += 1
  const body = Buffer.from(JSON.stringify({ id: request.correlationId, username }))
  return { ...request, id: `result-${results}`, type: 'CreateUser::UserCreated', causationId: request.id, body }
}
