import { setTimeout as sleep } from 'node:timers/promises'
import type { InferEvents, Transport } from 'respond-async'
import { createWorker, type ResultEvent } from 'respond-async/worker'
import { type CreateUser, events } from './events.js'

type Results = ResultEvent<InferEvents<typeof events>> | readonly ResultEvent<InferEvents<typeof events>>[] | undefined

// Far more than requests can wait at once: a simulated delay holds up nobody else.
const CONCURRENCY = 10_000

/** The back end: keeps usernames unique, and does what `simulate` says. */
export function createUserWorker(transport: Transport) {
  const idOf = new Map<string, string>()
  const running = new Map<string, AbortController>()

  return createWorker({ transport, events, concurrency: CONCURRENCY })
    .handle('CreateUser::Requested', async ({ id, data, signal, progress }) => {
      const canceled = new AbortController()
      running.set(id, canceled)
      try {
        await work(data, AbortSignal.any([signal, canceled.signal]), progress)
        return answer(idOf, id, data)
      } catch (error) {
        // A canceled request is settled without an answer; a worker that closes gives the request back.
        if (canceled.signal.aborted) return undefined
        throw error
      } finally {
        running.delete(id)
      }
    })
    .handle('CreateUser::CancelRequested', ({ data }) => {
      running.get(data.id)?.abort()
      return undefined
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
function answer(idOf: Map<string, string>, id: string, { username, age, simulate }: CreateUser): Results {
  const notCreated = (reason: 'duplicate' | 'outage') =>
    ({ type: 'CreateUser::UserNotCreated', data: { reason, username } }) as const
  const create = () => {
    const owner = idOf.get(username) ?? id
    if (owner !== id) return notCreated('duplicate')
    idOf.set(username, id)
    return { type: 'CreateUser::UserCreated', data: { id, username, age } } as const
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
      return [create(), notCreated('duplicate')]
    default:
      return create()
  }
}
