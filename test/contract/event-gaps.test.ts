import {
  cloudEvents,
  createGateway,
  type EventMessage,
  memoryStore,
  memoryTransport,
  nest,
  spring,
} from 'respond-async'
import { createFakeClock } from 'respond-async/testing'
import { createWorker } from 'respond-async/worker'
import { describe, expect, it } from 'vitest'
import { resolveSettings } from '../../src/transports/amqp/options.js'
import { resolveKafkaOptions } from '../../src/transports/kafka/options.js'

const TTL_MS = 60_000
const amqp = resolveSettings({ url: 'amqp://localhost' }).binding
const kafka = resolveKafkaOptions({ brokers: ['localhost:9092'], topics: { results: 'results' } }).binding

async function published(options: object): Promise<EventMessage> {
  const clock = createFakeClock()
  const transport = memoryTransport({ clock })
  const seen: EventMessage[] = []
  await transport.start()
  const reading = { kind: 'shared', group: 'worker' } as const
  await transport.subscribe({ channel: 'requests', types: ['Ask'], reading }, async (message) => {
    seen.push(message)
    return 'ack'
  })
  const gateway = createGateway({ transport, store: memoryStore({ clock }), clock, operationTtlMs: TTL_MS })
  const command = gateway.command({ publish: 'Ask', outcomes: { Done: 'succeeded' }, ...options })
  await gateway.start()
  await command.request({}, { waitMs: 0 })
  await clock.flush()
  await gateway.close({ drainMs: 0 })
  const [request] = seen
  if (request === undefined) throw new Error('nothing was published')
  return request
}

describe('what a gateway says to workers of other stacks', () => {
  it('N04 a CloudEvent says when its operation ends, over RabbitMQ and over Kafka', async () => {
    const request = await published({ profile: cloudEvents() })
    const expiry = new Date(request.time + TTL_MS).toISOString()
    const { headers } = amqp.write(request).properties
    expect(headers).toMatchObject({ cloudEvents_expirytime: expiry })
    const record = new Map(kafka.toRecord(request, 'topic').headers)
    expect(record.get('ce_expirytime')?.toString()).toBe(expiry)
  })

  it('N04 nothing else does', async () => {
    for (const profile of [undefined, spring(), nest()]) {
      const request = await published(profile === undefined ? {} : { profile })
      const written = [amqp.write(request).properties, kafka.toRecord(request, 'topic').headers.map(([name]) => name)]
      expect(JSON.stringify(written)).not.toContain('expiry')
    }
  })
})

it('N18 a request and a result of 64 KiB pass as they are', async () => {
  const text = 'x'.repeat(64 * 1024)
  const transport = memoryTransport()
  const gateway = createGateway({ transport, store: memoryStore() })
  const command = gateway.command({ publish: 'Ask', outcomes: { Done: 'succeeded' } })
  const worker = createWorker({ transport }).handle('Ask', ({ data }) => ({ type: 'Done', data }))
  await worker.start()
  await gateway.start()
  expect(await command.request({ text })).toMatchObject({ kind: 'completed', event: { data: { text } } })
  await gateway.close({ drainMs: 0 })
  await worker.close()
})
