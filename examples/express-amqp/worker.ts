import { setTimeout as sleep } from 'node:timers/promises'
import { amqp } from 'respond-async/amqp'
import { createWorker } from 'respond-async/worker'
import type { Events } from './events.js'

const transport = amqp({
  url: process.env.AMQP_URL ?? 'amqp://127.0.0.1:5672',
  prefix: process.env.PREFIX ?? 'example',
})

// A real worker keeps them in a database: these are forgotten with the process.
const taken = new Map<string, string>()
const worker = createWorker<Events>({ transport }).handle(
  'CreateUser::Requested',
  async ({ id, data: { username } }) => {
    if (username.startsWith('slow')) await sleep(2000)
    const owner = taken.get(username) ?? id
    if (owner !== id) return { type: 'CreateUser::UserNotCreated', data: { reason: 'duplicate' } }
    taken.set(username, id)
    return { type: 'CreateUser::UserCreated', data: { id, username } }
  },
)
await worker.start()
process.stdout.write('The worker takes requests.\n')

process.on('SIGTERM', () => void worker.close())
