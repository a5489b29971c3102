import { setTimeout as sleep } from 'node:timers/promises'
import amqplib from 'amqplib'
import amqplib010 from 'amqplib010'
import { createGateway, memoryStore } from 'respond-async'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { type EventMessage, toMessage } from '../../../src/core/event.js'
import type { Transport } from '../../../src/core/transport.js'
import { until } from '../../../src/testing/contract.js'
import {
  type AmqpChannel,
  type AmqpClient,
  type AmqpConnection,
  type AmqpMessage,
  type AmqpOptions,
  type AmqpTransport,
  amqp,
} from '../../../src/transports/amqp/index.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { TcpProxy } from '../../support/tcp-proxy.js'

const missing = await whyNoRabbitMq()
const client = new RecordingClient()
const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of opened.splice(0).reverse()) await end()
})
afterAll(() => (missing === undefined ? client.cleanUp() : undefined))

function make(options: AmqpOptions = {}): AmqpTransport {
  return amqp({ url: AMQP_URL, client, prefix: uniquePrefix(), ...options })
}

async function started(options?: AmqpOptions): Promise<{ transport: AmqpTransport; told: string[] }> {
  const transport = make(options)
  const told: string[] = []
  await transport.start({ down: () => told.push('down'), up: () => told.push('up') })
  opened.push(() => transport.close())
  return { transport, told }
}

function event(type: string, more: object = {}) {
  return toMessage({ type, source: 'test', data: {}, ...more }, systemClock)
}

async function collect(transport: Transport, types: readonly string[] = ['A::Done']) {
  const ids: string[] = []
  const reader = await transport.subscribe({ channel: 'results', types, reading: { kind: 'own' } }, async ({ id }) => {
    ids.push(id)
    return undefined
  })
  return { ids, reader }
}

/** Sends results until one arrives; what is sent while the connection is away is refused. */
async function arrives(transport: Transport, ids: readonly string[]): Promise<void> {
  const before = ids.length
  await until(async () => {
    await transport.publish(event('A::Done'), { channel: 'results' }).catch(() => {})
    await sleep(20)
    return ids.length > before
  }, 15_000)
}

async function admin<T>(run: (channel: Awaited<ReturnType<typeof openChannel>>['channel']) => Promise<T>): Promise<T> {
  const { connection, channel } = await openChannel()
  try {
    return await run(channel)
  } finally {
    await connection.close()
  }
}

async function openChannel() {
  const connection = await amqplib.connect(AMQP_URL)
  const channel = await connection.createChannel()
  // What closes it is the rejection of the call that was wrong.
  channel.on('error', () => {})
  return { connection, channel }
}

function lastQueue(part: string): string {
  return [...client.queues].filter((name) => name.includes(part) && !name.endsWith('.parked')).at(-1) ?? ''
}

const fasterTimer: typeof systemClock.setTimer = (callback, ms, isBackground) =>
  systemClock.setTimer(callback, ms / 10, isBackground)

/** A client whose consumers can all be made deaf, while their channels and heartbeats go on. */
class DeafClient implements AmqpClient {
  readonly #client = new RecordingClient()
  #deafened = 0
  #consumers = 0

  /** Those that there are get nothing any more; those to come do. */
  deafen(): void {
    this.#deafened = this.#consumers
  }

  async connect(url: string, options?: Readonly<Record<string, unknown>>): Promise<AmqpConnection> {
    const connection = await this.#client.connect(url, options)
    return Object.create(connection, {
      createChannel: { value: async () => this.#dull(await connection.createChannel()) },
    })
  }

  cleanUp(): Promise<void> {
    return this.#client.cleanUp()
  }

  #dull(channel: AmqpChannel): AmqpChannel {
    const { consume } = channel
    channel.consume = (queue, onMessage, more) => {
      this.#consumers += 1
      const number = this.#consumers
      const hear = (message: AmqpMessage | null) => number > this.#deafened && onMessage(message)
      return consume.call(channel, queue, hear, more)
    }
    return channel
  }
}

describe.skipIf(missing !== undefined)('RabbitMQ in bad weather', () => {
  it('a reset connection comes back, and its readers with it', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const { transport, told } = await started({ url: proxy.through(AMQP_URL) })
    const { ids } = await collect(transport)
    for (let round = 0; round < 5; round += 1) {
      await arrives(transport, ids)
      proxy.reset()
      await until(() => told.at(-1) === 'down')
      await expect(transport.check()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
      await until(() => told.at(-1) === 'up', 15_000)
      await transport.check()
    }
    await arrives(transport, ids)
  }, 60_000)

  it('FM-C3 what came for an instance while its connection was away reaches it afterwards', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const prefix = uniquePrefix()
    const { transport, told } = await started({ url: proxy.through(AMQP_URL), prefix })
    const { ids } = await collect(transport)
    const { transport: other } = await started({ prefix })
    proxy.reset()
    const sent = event('A::Done')
    await other.publish(sent, { channel: 'results' })
    await until(() => told.includes('up') && ids.includes(sent.id), 15_000)
  }, 30_000)

  it.each([
    ['2', amqplib],
    ['0.10', amqplib010],
  ])('B3 a publish whose confirm is lost settles, and says that nothing is certain (amqplib %s)', async (_, module) => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const own = new RecordingClient(module)
    const { transport } = await started({ url: proxy.through(AMQP_URL), client: own })
    opened.push(() => own.cleanUp())
    proxy.isDeaf = true
    const publishes = [1, 2, 3].map(() => transport.publish(event('A::Done'), { channel: 'results' }))
    const settled = Promise.allSettled(publishes)
    await sleep(100)
    proxy.reset()
    for (const one of await settled) expect(one).toMatchObject({ reason: { code: 'ERR_PUBLISH_UNCONFIRMED' } })
    proxy.isDeaf = false
  })

  it('FM-B10 a connection that is silent is given up', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const { transport, told } = await started({ url: proxy.through(AMQP_URL), heartbeatSeconds: 1 })
    const { ids } = await collect(transport)
    proxy.isDeaf = true
    await until(() => told.includes('down'), 15_000)
    proxy.isDeaf = false
    proxy.reset()
    await until(() => told.at(-1) === 'up', 15_000)
    await arrives(transport, ids)
  }, 60_000)

  it('is asked every second whether it answers, without a new channel each time', async () => {
    let channels = 0
    const connect = async (url: string, options?: Readonly<Record<string, unknown>>) => {
      const connection = await client.connect(url, options)
      const createChannel = () => {
        channels += 1
        return connection.createChannel()
      }
      return Object.create(connection, { createChannel: { value: createChannel } })
    }
    const { transport } = await started({ client: { connect } })
    await transport.check()
    const before = channels
    for (let times = 0; times < 20; times += 1) await transport.check()
    expect(channels).toBe(before)
  })

  it('FM-B10 a broker that falls silent in the middle of a repair costs the connection, and the repair is tried again', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    let isArmed = false
    const connect = async (url: string, options?: Readonly<Record<string, unknown>>) => {
      // The line is good again for the next connection.
      proxy.isDeaf = false
      const connection = await client.connect(url, options)
      const createChannel = () => {
        proxy.isDeaf = isArmed
        isArmed = false
        return connection.createChannel()
      }
      return Object.create(connection, { createChannel: { value: createChannel } })
    }
    // Ten times as fast, and heartbeats that would miss nothing for two minutes.
    const clock = { ...systemClock, setTimer: fasterTimer }
    const url = proxy.through(AMQP_URL)
    const { transport, told } = await started({ url, client: { connect }, clock, heartbeatSeconds: 60 })
    const { ids } = await collect(transport)
    await arrives(transport, ids)
    isArmed = true
    await admin((channel) => channel.deleteQueue(lastQueue('-own-')))
    await until(() => proxy.isDeaf)
    await until(() => told.at(-1) === 'up', 15_000)
    await arrives(transport, ids)
  }, 30_000)

  it('FM-C20 a consumer that is lost while its connection is sound is missed, and set up again', async () => {
    const deaf = new DeafClient()
    opened.push(() => deaf.cleanUp())
    // Ten times as fast: what it takes fifteen seconds to notice is noticed in one and a half.
    const clock = { ...systemClock, setTimer: fasterTimer }
    const { transport, told } = await started({ client: deaf, clock })
    const { ids } = await collect(transport)
    await arrives(transport, ids)
    await sleep(500)
    const heard = ids.length
    await sleep(2500)
    expect([told, ids.length]).toEqual([[], heard])
    deaf.deafen()
    await until(() => told.length >= 2, 10_000)
    expect(told).toEqual(['down', 'up'])
    await arrives(transport, ids)
  }, 30_000)

  it('FM-C20 an own queue that is deleted is declared and bound again', async () => {
    const { transport, told } = await started()
    const { ids } = await collect(transport)
    await arrives(transport, ids)
    const queue = lastQueue('-own-')
    await admin((channel) => channel.deleteQueue(queue))
    await until(() => told.length >= 2)
    expect(told).toEqual(['down', 'up'])
    await arrives(transport, ids)
  })

  it("a worker's queue that is deleted is declared again, and requests reach it again", async () => {
    const { transport, told } = await started()
    const ids: string[] = []
    const reading = { kind: 'shared', group: 'workers' } as const
    await transport.subscribe({ channel: 'requests', types: ['A::Asked'], reading }, async ({ id }) => {
      ids.push(id)
      return 'ack'
    })
    await admin((channel) => channel.deleteQueue(lastQueue('workers.A::Asked')))
    await until(() => told.includes('up'))
    const sent = event('A::Asked')
    await transport.publish(sent, { channel: 'requests' })
    await until(() => ids.includes(sent.id))
  })

  it('an exchange that is deleted is declared again; the message that noticed it was not taken', async () => {
    const prefix = uniquePrefix()
    const { transport, told } = await started({ prefix })
    await admin((channel) => channel.deleteExchange(`${prefix}.results`))
    await expect(transport.publish(event('A::Done'), { channel: 'results' })).rejects.toMatchObject({
      code: 'ERR_PUBLISH_REJECTED',
      message: expect.stringContaining(`The exchange "${prefix}.results" does not exist`),
    })
    await until(() => told.includes('up'))
    await transport.publish(event('A::Done'), { channel: 'results' })
  })

  it('S5 a queue that exists with other arguments is not declared again, and the error says so', async () => {
    const prefix = uniquePrefix()
    const queue = `${prefix}.requests.workers.A::Asked`
    client.queues.add(queue)
    await admin((channel) => channel.assertQueue(queue, { durable: true }))
    const { transport } = await started({ prefix })
    const reading = { kind: 'shared', group: 'workers' } as const
    const opening = transport.subscribe({ channel: 'requests', types: ['A::Asked'], reading }, async () => 'ack')
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining(`"${queue}" exists with other arguments`),
    })
    await transport.check()
  })

  it("S5 somebody else's queue is read as it is, and requests go where its worker reads", async () => {
    const queue = uniquePrefix()
    client.queues.add(queue)
    await admin((channel) => channel.assertQueue(queue, { durable: true, arguments: { 'x-max-priority': 3 } }))
    const requests = { routes: { 'A::Asked': { key: queue } }, queues: { 'A::Asked': queue } }
    const { transport } = await started({ requests })
    const got: unknown[] = []
    const reading = { kind: 'shared', group: 'workers' } as const
    await transport.subscribe({ channel: 'requests', types: ['A::Asked'], reading }, async (message) => {
      got.push(message.id)
      return 'ack'
    })
    const sent = event('A::Asked')
    await transport.publish(sent, { channel: 'requests' })
    await until(() => got.includes(sent.id))
  })

  it('a message that is parked lies among the dead letters, with the reason', async () => {
    const { transport } = await started()
    const reading = { kind: 'shared', group: 'workers' } as const
    await transport.subscribe({ channel: 'requests', types: ['A::Asked'], reading }, async () => 'park')
    const sent = event('A::Asked')
    await transport.publish(sent, { channel: 'requests' })
    const queue = lastQueue('workers.A::Asked')
    await admin(async (channel) => {
      let letter: Awaited<ReturnType<typeof channel.get>> = false
      await until(async () => {
        letter = await channel.get(`${queue}.parked`, { noAck: true })
        return letter !== false
      })
      expect(letter).toMatchObject({ properties: { messageId: sent.id } })
      expect(letter).toMatchObject({ properties: { headers: { 'x-first-death-reason': 'rejected' } } })
    })
    expect(transport.counters).toMatchObject({ parked: 1 })
  })

  it('a request that comes back too often is parked by the broker', async () => {
    const { transport } = await started({ requests: { deliveryLimit: 2 } })
    const attempts: number[] = []
    const reading = { kind: 'shared', group: 'workers' } as const
    await transport.subscribe({ channel: 'requests', types: ['A::Asked'], reading }, async (_, { attempt }) => {
      attempts.push(attempt)
      return 'requeue'
    })
    await transport.publish(event('A::Asked'), { channel: 'requests' })
    const queue = lastQueue('workers.A::Asked')
    await until(() => admin(async (channel) => (await channel.checkQueue(`${queue}.parked`)).messageCount === 1))
    expect(attempts).toEqual([1, 2, 3])
  })

  it('FM-G10 a replay whose connection is reset goes on where it was: nothing is left out, nothing comes twice', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const prefix = uniquePrefix()
    const { transport: other } = await started({ prefix, replay: true })
    const { transport, told } = await started({ prefix, replay: true, url: proxy.through(AMQP_URL) })
    const sent = Array.from({ length: 200 }, () => event('A::Done'))
    for (const message of sent.slice(0, 100)) await other.publish(message, { channel: 'results' })
    const positions: number[] = []
    const ids: string[] = []
    const reading = { kind: 'replay', from: 'beginning' } as const
    await transport.subscribe({ channel: 'results', types: ['A::Done'], reading }, async ({ id }, { position }) => {
      ids.push(id)
      positions.push(Number(position))
      if (ids.length === 50) proxy.reset()
      await sleep(1)
      return undefined
    })
    await until(() => told.includes('up'), 15_000)
    for (const message of sent.slice(100)) await other.publish(message, { channel: 'results' })
    await until(() => ids.length >= 200, 15_000)
    expect(ids).toEqual(sent.map(({ id }) => id))
    expect(positions).toEqual([...positions].sort((a, b) => a - b))
  }, 60_000)

  it('a close while the broker is away ends, and so does what was being tried', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    const { transport, told } = await started({ url: proxy.through(AMQP_URL) })
    await collect(transport)
    await proxy.stop()
    await until(() => told.includes('down'))
    await sleep(300)
    await transport.close()
    await expect(transport.check()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
  }, 30_000)

  it('an own queue goes with its reader', async () => {
    const { transport } = await started()
    const { reader } = await collect(transport)
    const queue = lastQueue('-own-')
    await reader.close()
    await expect(admin((channel) => channel.checkQueue(queue))).rejects.toThrow(/NOT_FOUND/)
  })

  it('FM-H10 a header table under __proto__ gives nobody a prototype', async () => {
    const { transport } = await started()
    const got: { headers: Readonly<Record<string, string>>; attempt: number }[] = []
    await transport.subscribe(
      { channel: 'results', types: ['A::Done'], reading: { kind: 'own' } },
      async ({ headers }, { attempt }) => void got.push({ headers, attempt }),
    )
    const exchange = [...client.exchanges].filter((name) => name.endsWith('.results')).at(-1) ?? ''
    const headers = Object.create(null)
    headers.fine = 'yes'
    const proto = { isAdmin: 'true', 'x-delivery-count': 500 }
    Object.defineProperty(headers, '__proto__', { value: proto, enumerable: true })
    await admin(async (channel) => {
      channel.publish(exchange, 'A::Done', Buffer.from('{}'), { headers })
      // Nor does the first delivery of a message become a later one by what its sender says.
      channel.publish(exchange, 'A::Done', Buffer.from('{}'), { headers: { 'x-delivery-count': 700 } })
      // Answered after it, as a close at once would overtake it.
      await channel.checkExchange(exchange)
    })
    await until(() => got.length === 2)
    expect(got[0]?.headers.isAdmin).toBeUndefined()
    expect(Object.entries(got[0]?.headers ?? {})).toEqual([['fine', 'yes']])
    expect(got.map(({ attempt }) => attempt)).toEqual([1, 1])
  })

  it('P08 FM-B5 a request for which nobody is there is answered at once, and nothing of it stays', async () => {
    const gateway = createGateway({ transport: make(), store: memoryStore() })
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    await gateway.start()
    opened.push(() => gateway.close())
    const reply = await command.request({})
    expect(reply).toMatchObject({ kind: 'ended', operation: { error: { code: 'ERR_PUBLISH_REJECTED' } } })
  })

  it('FM-B13 a request that is too large is refused before anything is written', async () => {
    const gateway = createGateway({ transport: make({ maxBodyBytes: 1000 }), store: memoryStore() })
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    await gateway.start()
    opened.push(() => gateway.close())
    await expect(command.request({ text: 'x'.repeat(1000) })).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    expect(gateway.counters).toMatchObject({ created: 0, open: 0 })
  })

  it.each([true, false])('FM-B13 amqplib 0.10.0: no header costs the connection (by url: %s)', async (byUrl) => {
    const old = new RecordingClient(amqplib010 as unknown as AmqpClient)
    const prefix = uniquePrefix()
    const connection = () => old.connect(AMQP_URL)
    const transport = byUrl ? make({ prefix, client: old }) : amqp({ prefix, connection })
    const told: string[] = []
    await transport.start({ down: () => told.push('down'), up: () => told.push('up') })
    const gateway = createGateway({ transport, store: memoryStore() })
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    await gateway.start()
    opened.push(
      () => old.cleanUp(),
      () => transport.close(),
      () => gateway.close({ drainMs: 0 }),
    )
    const seen: EventMessage[] = []
    const workers = { kind: 'shared', group: 'workers' } as const
    await transport.subscribe({ channel: 'requests', types: ['A::Asked'], reading: workers }, async (message) => {
      seen.push(message)
      return 'ack'
    })
    const tracestate = Array.from({ length: 30 }, (_, n) => `v${n}=${'x'.repeat(150)}`).join(',')
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    await command.request({}, { waitMs: 0, traceparent, tracestate })
    await until(() => seen.length === 1)
    expect(seen[0]?.tracestate).toBe(byUrl ? tracestate : undefined)
    const large = (bytes: number) => command.request({}, { waitMs: 0, headers: { large: 'x'.repeat(bytes) } })
    if (byUrl) await large(5000)
    for (const bytes of [byUrl ? 64_000 : 5000, 140_000])
      await expect(large(bytes)).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    const result = transport.publish(event('A::Done', { key: 'x'.repeat(64_000) }), { channel: 'results' })
    await expect(result).rejects.toMatchObject({ code: 'ERR_PUBLISH_REJECTED', details: { isPermanent: true } })
    await until(() => seen.length === (byUrl ? 2 : 1))
    expect(told).toEqual([])
  })

  it('FM-B13 a result whose headers cannot be written is a failure at once, and its request is parked', async () => {
    const prefix = uniquePrefix()
    const gateway = createGateway({ transport: make({ prefix }), store: memoryStore(), waitMs: 20_000 })
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    const worker = createWorker({ transport: make({ prefix }) })
    const errors: string[] = []
    let runs = 0
    worker.on('error', ({ code }) => errors.push(code))
    worker.handle('A::Asked', () => {
      runs += 1
      return { type: 'A::Done', data: {}, headers: { trail: 'x'.repeat(70_000) } }
    })
    await worker.start()
    await gateway.start()
    opened.push(
      () => worker.close(),
      () => gateway.close(),
    )
    expect(await command.request({})).toMatchObject({ kind: 'completed', event: { type: 'A::Asked::Failed' } })
    expect([runs, errors]).toEqual([1, ['ERR_PUBLISH_REJECTED']])
  })

  it.each(['topic', 'direct'] as const)('requests are answered, with replies: %s', async (replies) => {
    const prefix = uniquePrefix()
    const gateway = createGateway({ transport: make({ prefix, replies }), store: memoryStore() })
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    const worker = createWorker({ transport: make({ prefix }) })
    worker.handle('A::Asked', ({ data }) => ({ type: 'A::Done', data }))
    await worker.start()
    await gateway.start()
    opened.push(
      () => worker.close(),
      () => gateway.close(),
    )
    const replied = await Promise.all(Array.from({ length: 50 }, (_, n) => command.request({ n })))
    for (const [n, reply] of replied.entries())
      expect(reply).toMatchObject({ kind: 'completed', event: { data: { n } } })
  })

  it('P15 who waits for a direct reply when its channel is lost gets the 202 at once', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const prefix = uniquePrefix()
    const transport = make({ prefix, replies: 'direct', url: proxy.through(AMQP_URL) })
    const gateway = createGateway({ transport, waitMs: 60_000 })
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    const asked: string[] = []
    const worker = createWorker({ transport: make({ prefix }) })
    let finish = (): void => {}
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    worker.handle('A::Asked', async ({ id }) => {
      asked.push(id)
      await finished
      return { type: 'A::Done', data: {} }
    })
    await worker.start()
    await gateway.start()
    opened.push(
      () => worker.close(),
      () => gateway.close(),
    )
    const replies = [command.request({}), command.request({})]
    await until(() => asked.length === 2)
    proxy.reset()
    for (const reply of await Promise.all(replies)) expect(reply).toMatchObject({ kind: 'accepted' })
    finish()
  }, 30_000)

  it('P15 FM-C4 direct replies work again after each of 50 resets: no second consumer is refused with 406', async () => {
    const proxy = await TcpProxy.start(AMQP_URL)
    opened.push(() => proxy.stop())
    const prefix = uniquePrefix()
    const transport = make({ prefix, replies: 'direct', url: proxy.through(AMQP_URL) })
    const gateway = createGateway({ transport, waitMs: 15_000, relayAfterMs: 200 })
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    const worker = createWorker({ transport: make({ prefix }) })
    worker.handle('A::Asked', () => ({ type: 'A::Done', data: {} }))
    await worker.start()
    await gateway.start()
    opened.push(
      () => worker.close(),
      () => gateway.close(),
    )
    for (let round = 0; round < 50; round += 1) {
      expect(await command.request({})).toMatchObject({ kind: 'completed' })
      proxy.reset()
      await until(() => !gateway.isReady)
      await until(() => gateway.isReady, 15_000)
    }
  }, 120_000)
})
