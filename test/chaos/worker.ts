import { fromEnvironment } from './config.js'
import { makeStore, makeTransport } from './parts.js'
import { makeWorker } from './worker-of-orders.js'

// A worker in a process of its own.
const config = fromEnvironment()
const store = await makeStore(config)
const worker = makeWorker({ transport: await makeTransport(config), records: store.records }, config)
worker.on('error', (error) => {
  if (process.env.CHAOS_VERBOSE) process.stderr.write(`worker ${config.index}: ${error.code} ${error.message}\n`)
})
await store.start()
await worker.start()
process.on('disconnect', () => process.exit())
process.on('SIGTERM', () => void worker.close().then(() => process.exit(0)))
process.send?.({ ready: true })
