import { created, createGateway, type HookRequest, problem, type Store, type Transport } from 'respond-async'
import { events } from './events.js'

// Shorter than what platforms leave a process that is told to stop (Docker: 10 s).
const DRAIN_MS = 5000

interface GatewayParts {
  readonly transport: Transport
  /** Without one, the gateway has its own. */
  readonly store?: Store
  readonly waitMs: number
}

/** Makes the gateway and its one command; everything that HTTP says about users is decided here. */
export function createUserGateway({ transport, store, waitMs }: GatewayParts) {
  // A client may always ask for a little more time than the gateway takes by itself.
  const maxWaitMs = Math.max(25_000, waitMs + 5000)
  const kept = store && { store }
  const gateway = createGateway({ transport, events, waitMs, maxWaitMs, principal, drainMs: DRAIN_MS, ...kept })
  const createUser = gateway.command({
    publish: 'CreateUser::Requested',
    cancel: 'CreateUser::CancelRequested',
    methods: ['POST'],
    // The worker gives the user the id of the operation.
    creates: ({ id }) => id,
    outcomes: {
      'CreateUser::UserCreated': created(({ data }) => `/users/${data.id}`),
      'CreateUser::UserNotCreated': problem(({ data }) =>
        data.reason === 'duplicate'
          ? { status: 409, detail: `The username ${data.username} is taken.` }
          : { status: 503, detail: 'The user service has an outage.' },
      ),
    },
  })
  return { gateway, createUser }
}

/** `Authorization: Bearer NAME` names the caller. A real service verifies a token here. */
function principal({ headers }: HookRequest): string | undefined {
  const { authorization } = headers
  if (authorization === undefined) return undefined
  const name = /^Bearer +(\S+)$/i.exec(String(authorization))?.[1]
  if (name === undefined) throw Object.assign(new Error('Only Bearer NAME is understood.'), { status: 401 })
  return name
}
