import amqplib from 'amqplib'
import { createGateway, memoryStore } from 'respond-async'
import { createReadModel, defineProjection, type ReadModelOptions } from 'respond-async/read-model'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import type { ReplayStart } from '../../../src/core/transport.js'
import { until } from '../../../src/testing/contract.js'
import { type AmqpOptions, type AmqpTransport, amqp } from '../../../src/transports/amqp/index.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { RabbitMqNode, whyNoNode } from '../../support/rabbitmq-node.js'
import { ProbeTimers, SilencingClient } from '../../support/silent-consumers.js'
import { TcpProxy } from '../../support/tcp-proxy.js'

const missing = await whyNoRabbitMq()
const noNode = whyNoNode()
const client = new RecordingClient()
const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of opened.splice(0).reverse()) await end()
})
afterAll(() => (missing === undefined ? client.cleanUp() : undefined))

const projection = defineProjection<{ 'A::Done': { id: string } }, { id: string }>({
  name: 'things',
  version: 1,
  key: ({ data }) => data.id,
  on: { 'A::Done': (_, { data }) => data },
})

type Options = ReadModelOptions<{ id: string }>

function done(id: string, text = '') {
  return toMessage({ type: 'A::Done', source: 'test', data: { id, text } }, systemClock)
}

async function started(options: AmqpOptions): Promise<AmqpTransport> {
  const transport = amqp({ replay: true, ...options })
  await transport.start()
  opened.push(() => transport.close())
  return transport
}

async function publish(transport: AmqpTransport, ...ids: string[]): Promise<void> {
  for (const id of ids) await transport.publish(done(id), { channel: 'results' })
}

/** A replay, what it has got, and the reason why it ended. */
async function replay(transport: AmqpTransport, from: ReplayStart) {
  const positions: string[] = []
  const subscription = { channel: 'results', types: ['A::Done'], reading: { kind: 'replay', from } } as const
  const reader = await transport.subscribe(subscription, async (_, { position }) => void positions.push(`${position}`))
  const ends: unknown[] = []
  void reader.ended?.then((reason) => ends.push(reason))
  return { reader, positions, ends }
}

/** A started read model, with the codes of the errors that it has told. */
async function model(transport: AmqpTransport, store = memoryStore(), more: Pick<Options, 'load'> = {}) {
  const things = createReadModel({ transport, store, projection, ...more })
  const errors: string[] = []
  things.on('error', ({ code }) => errors.push(code))
  await things.start()
  opened.push(() => things.close())
  return { things, errors }
}

async function deleteQueue(queue: string): Promise<void> {
  const connection = await amqplib.connect(AMQP_URL)
  await (await connection.createChannel()).deleteQueue(queue)
  await connection.close()
}

describe.skipIf(missing !== undefined)('a replay of a stream', () => {
  const own = () => {
    const prefix = uniquePrefix()
    return { url: AMQP_URL, client, prefix }
  }

  it('ends, with the reason, when its stream was deleted: the one that is made anew lacks what it had', async () => {
    const options = own()
    const transport = await started(options)
    await publish(transport, 'a', 'b')
    const { reader, ends } = await replay(transport, 'beginning')
    await reader.caughtUp
    await deleteQueue(`${options.prefix}.results.replay`)
    await until(() => ends.length === 1)
    expect(ends[0]).toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('ends before offset') })
    await reader.close()
    await transport.check()
  })

  it.each([
    ['own', true],
    ['recorder', true],
    ['own', 'queues'],
    ['recorder', 'queues'],
  ] as const)('FM-C18 has what is answered to replyTo: %s, with replay: %s', async (replyTo, kind) => {
    const transport = await started({ ...own(), replyTo, replay: kind })
    const store = memoryStore()
    const things = createReadModel({ transport, store, projection, instance: 'one', load: async function* () {} })
    await things.start()
    const gateway = createGateway({ transport, store })
    const errors: string[] = []
    gateway.on('error', ({ code }) => errors.push(code))
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    // Nobody has declared what comes of it, so that it comes by its address alone.
    const odd = gateway.command({ publish: 'B::Asked', outcomes: { 'B::Done': 'succeeded' } })
    const worker = createWorker({ transport })
    worker.handle('A::Asked', ({ id }) => ({ type: 'A::Done', data: { id } }))
    worker.handle('B::Asked', () => ({ type: 'B::Odd', data: {} }))
    await worker.start()
    await gateway.start()
    opened.push(
      () => things.close(),
      () => worker.close(),
      () => gateway.close(),
    )
    const reply = await command.request({})
    expect(reply.kind).toBe('completed')
    await until(async () => (await things.get(reply.operation.id)) !== undefined)
    await odd.request({}, { waitMs: 0 })
    // The copy of an instance alone says nothing of it.
    if (replyTo === 'recorder') await until(() => errors.includes('ERR_UNEXPECTED_RESULT'))
  })

  it('makes a read model not ready when its stream is deleted, and keeps it so without load()', async () => {
    const options = own()
    const transport = await started(options)
    await publish(transport, 'a')
    const { things, errors } = await model(transport)
    const loading = await model(transport, memoryStore(), { load: () => [] })
    await deleteQueue(`${options.prefix}.results.replay`)
    await until(() => errors.includes('ERR_NOT_CAUGHT_UP') && loading.errors.includes('ERR_NOT_CAUGHT_UP'))
    await until(() => loading.things.status.isReady && errors.includes('ERR_NOT_REBUILDABLE'), 10_000)
    await publish(transport, 'b')
    await until(async () => (await loading.things.get('b')) !== undefined)
    expect(things.status.isReady).toBe(false)
  })

  it('refuses a read model whose stream was made anew, and longer than before, while it was down', async () => {
    const options = own()
    const store = memoryStore()
    const transport = await started(options)
    await publish(transport, 'a', 'b', 'c')
    const first = await model(transport, store)
    await first.things.close()
    await transport.close()
    await deleteQueue(`${options.prefix}.results.replay`)
    const other = await started(options)
    const ids = Array.from({ length: 20 }, (_, n) => `n${n}`)
    await publish(other, ...ids)
    await expect(model(other, store)).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
    const { things } = await model(other, store, { load: () => [{ key: 'a', state: { id: 'a' } }] })
    expect(things.status.size).toBe(21)
    for (const id of ['a', ...ids]) expect(await things.get(id)).toBeDefined()
  }, 30_000)

  it('goes on behind a position of an older version, which does not say which stream it belongs to', async () => {
    const transport = await started(own())
    await publish(transport, 'a', 'b', 'c')
    const first = await replay(transport, 'beginning')
    await first.reader.caughtUp
    expect(first.positions[0]).toMatch(/^\d+~[\w-]{8}$/)
    const { reader, positions } = await replay(transport, { after: `${Number.parseInt(first.positions[0] ?? '', 10)}` })
    await reader.caughtUp
    expect(positions).toEqual(first.positions.slice(1))
  })

  it('ends when its stream was made anew, and longer than before, while its connection was lost', async () => {
    const options = own()
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const transport = await started({ ...options, url: proxy.through(AMQP_URL) })
    await publish(transport, 'a', 'b')
    const { reader, ends, positions } = await replay(transport, 'beginning')
    await reader.caughtUp
    await proxy.stop()
    await deleteQueue(`${options.prefix}.results.replay`)
    await publish(await started(options), ...Array.from({ length: 20 }, (_, n) => `n${n}`))
    await proxy.listen()
    await until(() => ends.length === 1, 20_000)
    expect(ends[0]).toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('was made anew') })
    expect(positions).toHaveLength(2)
  }, 40_000)

  it('ends when its stream cannot be declared again', async () => {
    const options = own()
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const transport = await started({ ...options, url: proxy.through(AMQP_URL) })
    const { reader, ends } = await replay(transport, 'now')
    await reader.caughtUp
    await proxy.stop()
    const stream = `${options.prefix}.results.replay`
    await deleteQueue(stream)
    const connection = await amqplib.connect(AMQP_URL)
    await (await connection.createChannel()).assertQueue(stream, { durable: true })
    await connection.close()
    await proxy.listen()
    await until(() => ends.length === 1, 15_000)
    expect(ends[0]).toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('exists with other arguments'),
    })
  }, 30_000)

  it('is refused behind a position that the stream does not have', async () => {
    const transport = await started(own())
    await publish(transport, 'a')
    for (const after of ['nonsense', '1000'])
      await expect(replay(transport, { after })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await transport.check()
  })

  it('is closed also when its connection is lost at that moment', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const transport = await started({ ...own(), url: proxy.through(AMQP_URL) })
    const { reader } = await replay(transport, 'now')
    await reader.caughtUp
    proxy.reset()
    await reader.close()
  })

  it('goes on where it was when its consumer was lost in silence', async () => {
    const { prefix, url } = own()
    const stream = `${prefix}.results.replay`
    const [silencing, timers] = [new SilencingClient(client), new ProbeTimers()]
    const transport = await started({ url, prefix, client: silencing, clock: timers.clock })
    await publish(transport, 'a', 'b')
    const { reader, positions, ends } = await replay(transport, 'beginning')
    await reader.caughtUp
    await silencing.silence(stream)
    await publish(transport, 'c')
    // Something has come in the first ten seconds, and nothing in the next.
    timers.run(10_000)
    timers.run(10_000)
    timers.run(5000)
    await until(() => positions.length === 3)
    await publish(transport, 'd')
    await until(() => positions.length === 4)
    const offsets = positions.map((position) => Number.parseInt(position, 10))
    expect(offsets).toEqual([...new Set(offsets)].sort((one, other) => one - other))
    expect(ends).toEqual([])
  })

  it('reads on with its consumer when the message that breaks the silence comes', async () => {
    const { prefix, url } = own()
    const stream = `${prefix}.results.replay`
    const [silencing, timers] = [new SilencingClient(client), new ProbeTimers()]
    const transport = await started({ url, prefix, client: silencing, clock: timers.clock })
    const { reader, positions } = await replay(transport, 'now')
    await reader.caughtUp
    const [consumers, delivered] = [silencing.countOf(stream), silencing.delivered]
    timers.run(10_000)
    timers.run(10_000)
    await until(() => silencing.delivered > delivered)
    timers.run(5000)
    await publish(transport, 'a')
    await until(() => positions.length === 1)
    expect(silencing.countOf(stream)).toBe(consumers)
  })

  it('has not ended by itself when it was closed', async () => {
    const transport = await started(own())
    const { reader, ends } = await replay(transport, 'now')
    await reader.close()
    expect(ends).toEqual([])
  })
})

describe.skipIf(noNode !== undefined)('a replay of a stream that is kept for a while only', () => {
  let node: RabbitMqNode
  beforeAll(async () => {
    node = await RabbitMqNode.start()
    // A policy, as the size of the segments is no option: the broker deletes whole ones.
    const policy = { 'max-length-bytes': 100_000, 'stream-max-segment-size-bytes': 50_000 }
    await node.control('set_policy', '--apply-to', 'queues', 'short', 'replay$', JSON.stringify(policy))
  }, 180_000)
  afterAll(() => node?.stop(), 60_000)

  /** Publishes until the oldest messages are gone. */
  async function outgrow(transport: AmqpTransport, prefix: string): Promise<void> {
    const text = 'x'.repeat(20_000)
    const connection = await amqplib.connect(node.url)
    opened.push(() => connection.close())
    const channel = await connection.createChannel()
    await channel.prefetch(1)
    const oldest = () =>
      new Promise<number>((resolve, reject) => {
        const tell = (message: amqplib.ConsumeMessage | null) =>
          resolve(Number(message?.properties.headers?.['x-stream-offset']))
        const options = { arguments: { 'x-stream-offset': 'first' } }
        channel
          .consume(`${prefix}.results.replay`, tell, options)
          .then(({ consumerTag }) => channel.cancel(consumerTag))
          .catch(reject)
      })
    const before = await oldest()
    await until(async () => {
      for (let count = 0; count < 10; count += 1)
        await transport.publish(done(`more-${count}`, text), { channel: 'results' })
      return (await oldest()) > before + 20
    }, 30_000)
  }

  it('ends when what it has missed is gone, and its read model stays not ready', async () => {
    const prefix = uniquePrefix()
    const proxy = await TcpProxy.start(node.url)
    opened.push(() => proxy.stop())
    const other = await started({ prefix, url: node.url })
    const transport = await started({ prefix, url: proxy.through(node.url) })
    await publish(transport, 'a', 'b')
    const { things, errors } = await model(transport)
    const { reader, ends, positions } = await replay(transport, 'beginning')
    await reader.caughtUp
    expect(positions).toHaveLength(2)
    await proxy.stop()
    await outgrow(other, prefix)
    await proxy.listen()
    await until(() => ends.length === 1 && errors.includes('ERR_NOT_REBUILDABLE'), 20_000)
    expect(ends[0]).toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('has lost its messages') })
    expect(positions).toHaveLength(2)
    expect(things.status.isReady).toBe(false)
    for (const from of ['beginning', { after: positions[0] ?? '' }] as const)
      await expect(replay(transport, from)).rejects.toMatchObject({
        code: 'ERR_CONFIG',
        message: expect.stringContaining('has lost its messages'),
      })
  }, 90_000)
})
