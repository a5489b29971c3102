import { randomUUID } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordSpace, Transport } from 'respond-async'
import { createWorker } from 'respond-async/worker'
import type { ProcessConfig } from './config.js'
import type { Events } from './events.js'
import { type Execution, now } from './history.js'

const CONCURRENCY = 256
const MOST_MS = 40
/** Longer than any client waits. */
const LATE_MS = 3000
const KEPT_MS = 60_000

/** What the worker works with. */
interface WorkerParts {
  readonly transport: Transport
  readonly records: RecordSpace
}

/**
 * Carries out orders without asking whether it has done so before: one that is delivered again is carried out again,
 * with another result, and the gateways have to see to it that nobody gets to know. Each is written into the records,
 * so that whatever happens to the store happens to workers, too.
 */
export function makeWorker(
  { transport, records }: WorkerParts,
  { executionsFile }: Pick<ProcessConfig, 'executionsFile'>,
) {
  return createWorker<Events>({ transport, concurrency: CONCURRENCY }).handle(
    'Order::Requested',
    async ({ data: { n }, id, attempt }) => {
      const entry: Execution = { kind: 'execution', id, n, at: now() }
      // Written before the answer goes out, and by the time this returns: the process may be killed.
      appendFileSync(executionsFile, `${JSON.stringify(entry)}\n`)
      // Late only once, so that all attempts of a worker would be used up within a short outage.
      await sleep(n % 20 === 19 && attempt === 1 ? LATE_MS : Math.random() * MOST_MS)
      // Behind the work, so that late ones write also while the store is away and gateways refuse new ones.
      await records.put({ key: `order/${id}`, value: Buffer.from(String(n)), ttlMs: KEPT_MS })
      const data = { id, n, execution: randomUUID() }
      return n % 10 === 0 ? { type: 'Order::Rejected', data } : { type: 'Order::Placed', data }
    },
  )
}
