import { EventEmitter, once } from 'node:events'
import type { EventMessage, Transport } from 'respond-async'
import { events, type UserCreated } from './events.js'

/** A read-only copy of the users, fed by the events alone. */
export interface UsersProjection {
  get(id: string): UserCreated | undefined
  /** Resolves as soon as the projection has the user, or after `waitMs` without. */
  whenThere(id: string, waitMs: number): Promise<UserCreated | undefined>
  close(): Promise<void>
}

const TYPE = 'CreateUser::UserCreated'

/** Reads all users from the first event on; resolves when it has caught up with what was there. */
export async function startUsersProjection(transport: Transport): Promise<UsersProjection> {
  const users = new Map<string, UserCreated>()
  const applied = new EventEmitter().setMaxListeners(0)

  const apply = async (message: EventMessage) => {
    const user = message.type === TYPE ? parseUser(message) : undefined
    // Events may come twice; the first one stands.
    if (user !== undefined && !users.has(user.id)) users.set(user.id, user)
    if (user !== undefined) applied.emit(user.id)
    return 'ack' as const
  }

  await transport.start()
  const replay = { kind: 'replay', from: 'beginning' } as const
  const reader = await transport.subscribe({ channel: 'results', types: [TYPE], reading: replay }, apply)
  await reader.caughtUp
  return {
    get: (id) => users.get(id),
    async whenThere(id, waitMs) {
      if (!users.has(id)) await once(applied, id, { signal: AbortSignal.timeout(waitMs) }).catch(() => {})
      return users.get(id)
    },
    async close() {
      await reader.close()
      await transport.close()
    },
  }
}

/** Undefined for an event that nobody can read: one bad event must not stop a projection. */
function parseUser({ body }: EventMessage): UserCreated | undefined {
  try {
    return events[TYPE].safeParse(JSON.parse(new TextDecoder().decode(body))).data
  } catch {
    return undefined
  }
}
