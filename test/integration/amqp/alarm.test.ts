import { setTimeout as sleep } from 'node:timers/promises'
import { createGateway, memoryStore } from 'respond-async'
import { createWorker } from 'respond-async/worker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { amqp } from '../../../src/transports/amqp/index.js'
import { RabbitMqNode, whyNoNode } from '../../support/rabbitmq-node.js'

/** Longer than 20 deliveries would last: then a quorum queue parks a request. */
const ALARM_MS = 20_000
const REQUESTS = 6

const missing = whyNoNode()
let node: RabbitMqNode

beforeAll(async () => {
  if (missing === undefined) node = await RabbitMqNode.start()
}, 180_000)
afterAll(() => node?.stop(), 60_000)

/** A gateway with a worker whose first handler ends when `start` is called, and the others when `goOn` is. */
async function setup() {
  const [begun, start] = gate()
  const [known, goOn] = gate()
  const seen = { runs: 0, requeued: 0, refused: 0 }
  const worker = createWorker({ transport: amqp({ url: node.url }), retries: { backoffMs: 0 } })
  worker.on('requeued', () => {
    seen.requeued += 1
  })
  worker.on('error', ({ message }) => {
    if (/takes no messages/.test(message)) seen.refused += 1
  })
  worker.handle('A::Asked', async ({ data }) => {
    seen.runs += 1
    await (seen.runs === 1 ? begun : known)
    return { type: 'A::Done', data }
  })
  const gateway = createGateway({ transport: amqp({ url: node.url }), store: memoryStore() })
  gateway.on('error', () => {})
  const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
  await worker.start()
  await gateway.start()
  return { worker, gateway, command, seen, start, goOn }
}

function gate(): [Promise<void>, () => void] {
  let open = () => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return [promise, () => open()]
}

describe.skipIf(missing !== undefined)('a memory alarm of RabbitMQ', () => {
  it('FM-B8 requests whose handlers end in it are answered behind it, by their one run each', async () => {
    const { worker, gateway, command, seen, start, goOn } = await setup()
    await node.keepQueues()
    const ids: string[] = []
    for (let n = 0; n < REQUESTS; n += 1) ids.push((await command.request({ n }, { waitMs: 0 })).operation.id)
    await until(() => seen.runs === REQUESTS, 20_000)
    await node.control('set_vm_memory_high_watermark', 'absolute', '1MB')
    try {
      // RabbitMQ says so to a connection once that has published.
      start()
      await until(() => seen.refused > 0, 20_000)
      goOn()
      await until(() => seen.refused >= REQUESTS, 20_000)
      await sleep(ALARM_MS)
    } finally {
      await node.control('set_vm_memory_high_watermark', '0.4')
    }
    const states = () => Promise.all(ids.map(async (id) => (await gateway.operations.get(id))?.state))
    await until(async () => (await states()).every((state) => state === 'succeeded'), 60_000)
    expect([seen.runs, seen.requeued]).toEqual([REQUESTS, 0])
    expect(await node.control('list_queues', 'name', 'messages')).toMatch(/A::Asked\.parked\s+0/)
    await gateway.close()
    await worker.close()
  }, 180_000)
})
