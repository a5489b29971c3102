import { createWorker, type Handler, type ResultEvent } from 'respond-async/worker'
import { z } from 'zod'
import type { Transport } from '../../src/core/transport.js'

declare const transport: Transport

interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::Requested::Progress': { percent: number }
  'CreateUser::UserCreated': { id: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' | 'outage' }
  'DeleteUser::Requested': { id: string }
}

const bytes = new Uint8Array()
const worker = createWorker<Events>({ transport })

/** Data, progress and results follow the event map, and calls can be chained. */
worker
  .handle('CreateUser::Requested', ({ data, id, correlationId, key, headers, signal, attempt, progress }) => {
    progress({ percent: attempt })
    const known: [string, string | undefined, string | undefined, string | undefined] = [
      id,
      correlationId,
      key,
      headers.a,
    ]
    return { type: 'CreateUser::UserCreated', data: { id: data.username + known.length + signal.aborted } }
  })
  .handle('DeleteUser::Requested', async ({ data, progress }) => {
    progress(data)
  })

/** Several results, none, encoded bytes, headers and keys. */
worker.handle('CreateUser::Requested', async ({ data }) => [
  { type: 'CreateUser::UserCreated', data: { id: data.username }, key: 'a', headers: { a: 'b' } },
  { type: 'CreateUser::UserNotCreated', body: bytes, contentType: 'application/json' },
])
worker.handle('CreateUser::Requested', () => undefined)
worker.handle('CreateUser::Requested', async ({ data }) => {
  if (data.username === 'x') return undefined
  return { type: 'CreateUser::UserNotCreated', data: { reason: data.username === '' ? 'duplicate' : 'outage' } }
})
declare function save(data: object): Promise<void>
worker.handle('DeleteUser::Requested', ({ data }) => save(data))
worker.handle('DeleteUser::Requested', () => Promise.reject(new Error('never')))
const named: Handler<Events, 'DeleteUser::Requested'> = async ({ data }) => void data.id
worker.handle('DeleteUser::Requested', named, {
  failure: (error, { data, correlationId }): ResultEvent<Events> => ({
    type: 'CreateUser::UserCreated',
    data: { id: `${data?.id}${correlationId}${error}` },
  }),
})

// @ts-expect-error there is no such request event
worker.handle('CreateUsers::Requested', () => undefined)
// @ts-expect-error the data have no such field
worker.handle('CreateUser::Requested', ({ data }) => ({ type: 'CreateUser::UserCreated', data: { id: data.name } }))
// @ts-expect-error there is no such result event
worker.handle('CreateUser::Requested', async () => ({ type: 'CreateUser::UserMade', data: { id: 'a' } }))
// @ts-expect-error the result has another type of id
worker.handle('CreateUser::Requested', () => ({ type: 'CreateUser::UserCreated', data: { id: 1 } }))
// @ts-expect-error the result has no such reason
worker.handle('CreateUser::Requested', async () => ({ type: 'CreateUser::UserNotCreated', data: { reason: 'late' } }))
// @ts-expect-error a result has data or a body
worker.handle('CreateUser::Requested', () => ({ type: 'CreateUser::UserCreated' }))
// @ts-expect-error a body needs its content type
worker.handle('CreateUser::Requested', () => ({ type: 'CreateUser::UserCreated', body: bytes }))
// @ts-expect-error data and a body exclude each other
worker.handle('CreateUser::Requested', () => ({
  type: 'CreateUser::UserCreated',
  data: { id: 'a' },
  body: bytes,
  contentType: 'text/plain',
}))
worker.handle('CreateUser::Requested', ({ progress }) => {
  // @ts-expect-error the progress event has other data
  progress({ done: true })
  return undefined
})
worker.handle('DeleteUser::Requested', named, {
  // @ts-expect-error the data are missing when they were not valid
  failure: (_, { data }) => ({ type: 'CreateUser::UserCreated', data: { id: data.id } }),
})
// @ts-expect-error there is no such option
createWorker<Events>({ transport, retry: 3 })
// @ts-expect-error there is no such event of a worker
worker.on('fail', () => {})
worker.on('retry', ({ delayMs }) => delayMs.toFixed())
worker.on('error', (error) => error.code === 'ERR_CONFIG')

/** Without an event map every type is allowed, and data must be narrowed. */
createWorker({ transport }).handle('Any', ({ data }) => ({ type: 'Other', data }))

/** With schemas the event map is inferred from them. */
const events = { Add: z.object({ a: z.number() }), Added: z.object({ sum: z.number() }) }
const withSchemas = createWorker({ transport, events })
withSchemas.handle('Add', ({ data }) => ({ type: 'Added', data: { sum: data.a.valueOf() } }))
// @ts-expect-error there is no such event among the schemas
withSchemas.handle('Subtract', () => undefined)
// @ts-expect-error the schema asks for a number
withSchemas.handle('Add', () => ({ type: 'Added', data: { sum: '1' } }))
