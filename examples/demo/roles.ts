import { once } from 'node:events'
import { startServed } from './demo.js'
import { openParts } from './parts.js'
import type { Role, Settings } from './settings.js'
import type { Report } from './supervisor.js'
import { createUserWorker } from './worker.js'

const EXIT_MS = 2000

/** Is one process of many until it is told to end; then it drains. */
export async function runRole(settings: Settings, { kind, index }: Role): Promise<void> {
  const ended = untilTold()
  const parts = await openParts(settings)
  const running = kind === 'gateway' ? await startGateway(settings, parts, index) : await startWorker(parts)
  console.log(`${kind} ${index} ${running.origin}pid ${process.pid}`)
  report({ isReady: true })
  await ended
  await running.close()
  await parts.close()
  // The channel to the parent would keep the process alive.
  if (process.connected) process.disconnect()
  // And so would what a client leaves behind that a broker did not let go in time.
  setTimeout(() => process.exit(), EXIT_MS).unref()
}

/** Tells the process that has started this one, if one has; `then` is called when it is told. */
export function report(what: Report, then = () => {}): void {
  if (process.send === undefined || !process.connected) then()
  else process.send(what, then)
}

type Parts = Awaited<ReturnType<typeof openParts>>

async function startGateway(settings: Settings, parts: Parts, index: number) {
  const demo = await startServed({ ...settings, port: settings.port + index }, parts)
  const { class: kind, mayLoseMs } = demo.gateway.durability
  console.log(`# gateway ${index} durability: ${kind}${mayLoseMs ? `, may lose the last ${mayLoseMs} ms` : ''}`)
  return { origin: `http://127.0.0.1:${demo.port} `, close: () => demo.close() }
}

async function startWorker({ transport, store }: Parts) {
  await store.start()
  const worker = createUserWorker(transport, store.records)
  worker.on('error', (error) => console.error(`worker: ${error.message}`))
  await worker.start()
  const close = async () => {
    await worker.close()
    await store.close()
  }
  return { origin: '', close }
}

/** SIGTERM, SIGINT, or the end of the process that has started this one. */
async function untilTold(): Promise<void> {
  // Further signals mean nothing: a terminal sends its own to all, beside the one of the parent.
  process.on('SIGTERM', () => {}).on('SIGINT', () => {})
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT'), once(process, 'disconnect')])
}
