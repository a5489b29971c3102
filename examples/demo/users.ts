import type { InferEvents, Store, Transport } from 'respond-async'
import { createReadModel, defineProjection } from 'respond-async/read-model'
import { events, type UserCreated } from './events.js'

const projection = defineProjection<InferEvents<typeof events>, UserCreated>({
  name: 'users',
  version: 1,
  events,
  key: ({ type, data }) => (type === 'CreateUser::UserCreated' ? data.id : undefined),
  // A worker that is asked again may say again that it has created the user: the first time stands.
  on: { 'CreateUser::UserCreated': (user, { data }) => user ?? data },
})

/** The read side: users by the ids of the operations that have created them, fed by the events alone. */
export function createUsers(transport: Transport, store?: Store) {
  const users = createReadModel({ transport, projection, ...(store && { store }) })
  return users.on('error', (error) => console.error(`users: ${error.message}`))
}
