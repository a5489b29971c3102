import type { EventMessage, MemoryTransport } from 'respond-async'
import { defineProjection, type ProjectionDefinition } from 'respond-async/read-model'
import type { Clock } from '../../../src/core/clock.js'
import { type EventInit, toMessage } from '../../../src/core/event.js'

export interface Events {
  Created: { id: string; name: string; n?: number }
  Renamed: { id: string; name: string; n?: number }
  Deleted: { id: string; n?: number }
}

export interface User {
  readonly id: string
  readonly name: string
  /** Every name that it has had, so that an event too many, or out of order, shows. */
  readonly names: readonly string[]
}

type Definition = ProjectionDefinition<Events, User>

/** Users whose names are kept in the order in which they came. */
export function usersProjection(more: Partial<Definition> = {}) {
  return defineProjection<Events, User>({
    name: 'users',
    version: 1,
    key: ({ data }) => data.id,
    on: {
      Created: (_, { data: { id, name } }) => ({ id, name, names: [name] }),
      Renamed: (user, { data: { name } }) => {
        if (user === undefined) throw new Error('Nobody to rename.')
        return { ...user, name, names: [...user.names, name] }
      },
      Deleted: () => undefined,
    },
    ...more,
  })
}

/** The same, with numbered events. */
export const numbered = (more: Partial<Definition> = {}) =>
  usersProjection({ sequence: ({ data: { n = 1 } }) => n, ...more })

let count = 0

/** An event as a worker publishes it. */
export function eventOf<Type extends keyof Events>(
  type: Type,
  data: Events[Type],
  { clock, ...more }: Partial<EventInit> & { clock: Clock },
): EventMessage {
  count += 1
  return toMessage({ id: `event-${count}`, type, source: 'worker', data, ...more }, clock)
}

/** Publishes result events one after the other. */
export async function publish(transport: MemoryTransport, ...messages: readonly EventMessage[]): Promise<void> {
  for (const message of messages) await transport.publish(message, { channel: 'results' })
}
