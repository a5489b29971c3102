import { setTimeout as sleep } from 'node:timers/promises'
import type { InferEvents, RecordSpace, Transport } from 'respond-async'
import { createWorker, type ResultEvent } from 'respond-async/worker'
import { type CreateUser, events } from './events.js'

type Results = ResultEvent<InferEvents<typeof events>> | readonly ResultEvent<InferEvents<typeof events>>[] | undefined

// Far more than requests can wait at once: a simulated delay holds up nobody else.
const CONCURRENCY = 10_000

// As long as a request may run.
const CANCELED_MS = 3_600_000

/** The back end: keeps usernames unique in the records, and does what `simulate` says. */
export function createUserWorker(transport: Transport, records: RecordSpace) {
  const running = new Map<string, AbortController>()

  return createWorker({ transport, events, concurrency: CONCURRENCY })
    .handle('CreateUser::Requested', async ({ id, data, signal, progress }) => {
      const canceled = new AbortController()
      running.set(id, canceled)
      try {
        await work(data, AbortSignal.any([signal, canceled.signal]), progress)
        // Another worker may have been told.
        if ((await records.get(`canceled/${id}`)) !== undefined) return undefined
        return await answer(records, id, data)
      } catch (error) {
        // A canceled request is settled without an answer; a worker that closes gives the request back.
        if (canceled.signal.aborted) return undefined
        throw error
      } finally {
        running.delete(id)
      }
    })
    .handle('CreateUser::CancelRequested', async ({ data }) => {
      running.get(data.id)?.abort()
      await records.put({ key: `canceled/${data.id}`, value: new Uint8Array(0), ttlMs: CANCELED_MS })
    })
}

async function work({ simulate }: CreateUser, signal: AbortSignal, progress: (data: unknown) => void): Promise<void> {
  const { delayMs = 0 } = simulate ?? {}
  if (delayMs === 0) return
  await sleep(delayMs / 2, undefined, { signal })
  progress({ percent: 50 })
  await sleep(delayMs / 2, undefined, { signal })
}

/** The request event has the operation's id, and the user gets it too: so a redelivered request finds its own user. */
async function answer(records: RecordSpace, id: string, { username, age, simulate }: CreateUser): Promise<Results> {
  const notCreated = (reason: 'duplicate' | 'outage') =>
    ({ type: 'CreateUser::UserNotCreated', data: { reason, username } }) as const
  const create = async () => {
    const isOwner = (await ownerOf(records, username, id)) === id
    return isOwner
      ? ({ type: 'CreateUser::UserCreated', data: { id, username, age } } as const)
      : notCreated('duplicate')
  }
  switch (simulate?.outcome) {
    case 'duplicate':
    case 'outage':
      return notCreated(simulate.outcome)
    case 'never':
      return undefined
    case 'garbage':
      return { type: 'CreateUser::UserCreated', body: Buffer.from('{"id":'), contentType: 'application/json' }
    case 'twice':
      return [await create(), notCreated('duplicate')]
    default:
      return create()
  }
}

/** Who has the username: whoever wrote it first, whichever worker asks. */
async function ownerOf(records: RecordSpace, username: string, id: string): Promise<string> {
  const key = `username/${encodeURIComponent(username)}`
  if ((await records.put({ key, value: Buffer.from(id), ifVersion: 0 })) !== undefined) return id
  const owner = await records.get(key)
  // Usernames are never given back; should a store lose one, the request comes again.
  if (owner === undefined) throw new Error(`The owner of ${username} is not known.`)
  return Buffer.from(owner.value).toString()
}
