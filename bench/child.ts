import { serveCore, type Variant } from './core.js'
import { type Framework, type Responder, startServer } from './http-server.js'
import { benchStorm } from './storm.js'

const [task, first, second] = process.argv.slice(2)
// Nobody else ends it when the bench is interrupted.
process.once('disconnect', () => process.exit())
const asked = new Promise<void>((resolve) => process.once('message', () => resolve()))

if (task === 'core') {
  await asked
  const answer = await serveCore(first as Variant)
  process.on('message', async (question) => void process.send?.(await answer(question as 'round')))
  process.send?.('ready')
} else if (task === 'storm') {
  await asked
  process.send?.(await benchStorm(first as Variant))
} else if (task === 'gateway') {
  const { serveGateway } = await import('./brokers/serve.js')
  const { port, answer } = await serveGateway(JSON.parse(String(first)))
  await asked
  process.on('message', async (question) => void process.send?.(await answer(question as 'cpu')))
  process.send?.(port)
} else if (task === 'worker') {
  const { serveWorker } = await import('./brokers/serve.js')
  const close = await serveWorker(JSON.parse(String(first)))
  await asked
  process.on('message', async () => void process.send?.((await close()) ?? 'closed'))
  process.send?.('ready')
} else {
  const port = await startServer(first as Framework, second as Responder)
  await asked
  process.send?.(port)
  // Every further question is for the CPU time so far, in microseconds.
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
}
