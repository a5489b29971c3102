import { fromEnvironment } from './config.js'
import { makeTransport } from './parts.js'
import { makeWorker } from './worker-of-orders.js'

// A worker in a process of its own.
const config = fromEnvironment()
const worker = makeWorker(await makeTransport(config), config)
worker.on('error', (error) => {
  if (process.env.CHAOS_VERBOSE) process.stderr.write(`worker ${config.index}: ${error.code} ${error.message}\n`)
})
await worker.start()
process.on('disconnect', () => process.exit())
process.on('SIGTERM', () => void worker.close().then(() => process.exit(0)))
process.send?.({ ready: true })
