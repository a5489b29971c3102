import { benchCore, type Variant } from './core.js'
import { type Framework, type Responder, startServer } from './http-server.js'
import { benchStorm } from './storm.js'

const [task, first, second] = process.argv.slice(2)
const asked = new Promise<void>((resolve) => process.once('message', () => resolve()))

if (task === 'core') {
  await asked
  process.send?.(await benchCore(first as Variant))
} else if (task === 'storm') {
  await asked
  process.send?.(await benchStorm(first as Variant))
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
