import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import amqplib from 'amqplib'
import { createGateway, memoryStore } from 'respond-async'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import { until } from '../../../src/testing/contract.js'
import { type AmqpOptions, amqp } from '../../../src/transports/amqp/index.js'
import { RabbitMqNode, whyNoNode } from '../../support/rabbitmq-node.js'
import { TcpProxy } from '../../support/tcp-proxy.js'

const missing = whyNoNode()
const manual = readFileSync('docs/rabbitmq.md', 'utf8')
const opened: (() => Promise<unknown>)[] = []
let node: RabbitMqNode

beforeAll(async () => {
  if (missing === undefined) node = await RabbitMqNode.start()
}, 180_000)
afterEach(async () => {
  for (const end of opened.splice(0).reverse()) await end()
})
afterAll(() => node?.stop(), 60_000)

function event(type: string) {
  return toMessage({ type, source: 'test', data: {} }, systemClock)
}

/** A gateway with a store of its own choice and a worker, each on its own connections. */
async function start(options: AmqpOptions = {}) {
  const gateway = createGateway({
    transport: amqp({ url: node.url, ...options }),
    store: memoryStore(),
    waitMs: 100,
    relayAfterMs: 500,
  })
  const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
  gateway.on('error', () => {})
  const worker = createWorker({ transport: amqp({ url: node.url }), group: 'workers' })
  worker.on('error', () => {})
  worker.handle('A::Asked', async ({ data }) => {
    await sleep(20)
    return { type: 'A::Done', data }
  })
  await worker.start()
  await gateway.start()
  opened.push(
    () => worker.close(),
    () => gateway.close(),
  )
  return { gateway, command, worker }
}

describe.skipIf(missing !== undefined)('a RabbitMQ that is killed, starved and strict', () => {
  describe('whose max_message_size is less than maxBodyBytes says', () => {
    const limit = (bytes: number) => node.control('eval', `application:set_env(rabbit, max_message_size, ${bytes}).`)
    beforeAll(() => limit(20_000))
    afterAll(() => limit(134_217_728))

    it('FM-B13 fails the request that is too large, and takes those beside it', async () => {
      const { gateway, command } = await start()
      const ask = (bytes: number) => command.request({ text: 'x'.repeat(bytes) }, { waitMs: 20_000 })
      const [before, large, behind] = await Promise.all([ask(10), ask(30_000), ask(20)])
      expect([before, behind]).toMatchObject([{ kind: 'completed' }, { kind: 'completed' }])
      expect(large).toMatchObject({
        kind: 'ended',
        operation: { state: 'failed', error: { code: 'ERR_PUBLISH_REJECTED' } },
      })
      await until(() => gateway.isReady, 20_000)
      // From now on it is known how much this broker takes.
      await expect(ask(30_000)).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    }, 90_000)

    it('FM-B13 parks a request at once whose result is too large, and its operation fails', async () => {
      const worker = createWorker({ transport: amqp({ url: node.url, prefix: 'large' }), group: 'workers' })
      let runs = 0
      worker.handle('A::Asked', async () => {
        runs += 1
        return { type: 'A::Done', data: 'x'.repeat(30_000) }
      })
      const errors: string[] = []
      worker.on('error', ({ code }) => errors.push(code))
      const gateway = createGateway({ transport: amqp({ url: node.url, prefix: 'large' }), waitMs: 20_000 })
      const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
      opened.push(
        () => worker.close(),
        () => gateway.close(),
      )
      await worker.start()
      await gateway.start()
      expect(await command.request({})).toMatchObject({ kind: 'completed', event: { type: 'A::Asked::Failed' } })
      expect(runs).toBe(1)
      expect(errors).toContain('ERR_PUBLISH_REJECTED')
    }, 90_000)
  })

  it('FM-B18 loses nothing that was accepted when it is killed in mid flight', async () => {
    const { gateway, command } = await start()
    await node.keepQueues()
    const accepted: string[] = []
    let refused = 0
    let isOver = false
    const load = (async () => {
      for (let n = 0; !isOver; n += 1) {
        const batch = Array.from({ length: 10 }, () =>
          command.request({ n }).then(
            (reply) => {
              // One that ended without an event was refused by the broker, and answered with 503.
              if (reply.kind === 'ended') refused += 1
              else accepted.push(reply.operation.id)
            },
            () => {
              refused += 1
            },
          ),
        )
        await Promise.all(batch)
        await sleep(20)
      }
    })()
    for (let round = 0; round < 2; round += 1) {
      const before = accepted.length
      await until(() => accepted.length > before + 50, 60_000)
      await node.kill()
      expect(gateway.isReady).toBe(false)
      await node.boot()
      await until(() => gateway.isReady, 60_000)
    }
    isOver = true
    await load
    const left = async () => {
      const states = await Promise.all(accepted.map((id) => gateway.operations.get(id)))
      return states.filter((operation) => operation?.state !== 'succeeded').length
    }
    await until(async () => (await left()) === 0, 60_000)
    expect(accepted.length).toBeGreaterThan(100)
    expect(refused).toBeGreaterThan(0)
  }, 300_000)

  it('FM-B8 takes no messages while it is short of memory: requests are refused at once, and later taken', async () => {
    const { gateway, command } = await start()
    expect((await command.request({}, { waitMs: 5000 })).kind).toBe('completed')
    await node.control('set_vm_memory_high_watermark', 'absolute', '1MB')
    // RabbitMQ says so to a connection once that has published; what it published then is not certain.
    const first = await command.request({})
    expect(first).toMatchObject({ kind: 'accepted', because: 'unconfirmed' })
    await until(() => !gateway.isReady, 15_000)
    const from = performance.now()
    // One probe a second is let through, and refused by the transport.
    const seen = await Promise.allSettled([1, 2, 3].map(() => command.request({})))
    expect(performance.now() - from).toBeLessThan(1000)
    for (const one of seen) if (one.status === 'rejected') expect(one.reason.code).toBe('ERR_TRANSPORT_UNAVAILABLE')
    expect(seen.some(({ status }) => status === 'rejected')).toBe(true)
    await node.control('set_vm_memory_high_watermark', '0.4')
    await until(() => gateway.isReady, 30_000)
    expect((await command.request({}, { waitMs: 5000 })).kind).toBe('completed')
    const state = async () => (await gateway.operations.get(first.operation.id))?.state
    await until(async () => (await state()) === 'succeeded', 30_000)
  }, 120_000)

  it('the connection that reads is not held up in an alarm, as nothing is published over it', async () => {
    const { gateway, command } = await start({ prefix: 'alarm' })
    await node.control('set_vm_memory_high_watermark', 'absolute', '1MB')
    try {
      await command.request({}).catch(() => {})
      // Long enough for a message to the own queue.
      await sleep(12_000)
      const lines = (await node.control('list_connections', 'client_properties', 'state')).trim().split('\n')
      const states = (name: string) =>
        lines.filter((line) => line.includes(name)).map((line) => line.split(/\s+/).at(-1))
      expect(states('alarm publishing')).toEqual(['blocked'])
      expect(states('alarm reading')).toEqual(['blocking'])
    } finally {
      await node.control('set_vm_memory_high_watermark', '0.4')
    }
    await until(() => gateway.isReady, 30_000)
  }, 120_000)

  it('FM-B8 a connection that reads and is made anew in an alarm is of use again once that is over', async () => {
    const prefix = 'anew'
    const transport = amqp({ url: node.url, prefix, replay: 'queues' })
    const gateway = createGateway({ transport, waitMs: 100 })
    gateway.on('error', () => {})
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    const worker = createWorker({ transport: amqp({ url: node.url, prefix }) })
    worker.handle('A::Asked', ({ data }) => ({ type: 'A::Done', data }))
    await worker.start()
    await transport.start()
    const kept = { kind: 'replay', from: 'now', name: 'one' } as const
    await transport.subscribe({ channel: 'results', types: ['A::Done'], reading: kept }, async () => 'ack')
    await gateway.start()
    opened.push(
      () => worker.close(),
      () => transport.close(),
      () => gateway.close(),
    )
    await node.keepQueues()
    await node.control('set_vm_memory_high_watermark', 'absolute', '1MB')
    try {
      const lines = (await node.control('list_connections', 'pid', 'client_properties')).trim().split('\n')
      for (const line of lines.filter((one) => one.includes('anew reading')))
        await node.control('close_connection', line.split(/\s+/)[0] ?? '', 'test')
      // The marker of the kept queue blocks the new connection, and the reader behind it is not set up in time.
      await sleep(14_000)
    } finally {
      await node.control('set_vm_memory_high_watermark', '0.4')
    }
    await until(() => gateway.isReady, 10_000)
    expect((await command.request({}, { waitMs: 5000 })).kind).toBe('completed')
  }, 120_000)

  it('says which permission is missing', async () => {
    await node.control('add_user', 'limited', 'secret')
    const url = node.url.replace('guest:guest', 'limited:secret')
    await node.control('set_permissions', 'limited', '^$', '.*', '.*')
    const undeclared = amqp({ url, prefix: 'strict' })
    await expect(undeclared.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/permission is missing for The exchange "strict.requests".*limited/),
    })
    await undeclared.close()
    // It may declare and read, but not publish.
    await node.control('set_permissions', 'limited', '.*', '^$', '.*')
    const mute = amqp({ url, prefix: 'strict' })
    await mute.start()
    opened.push(() => mute.close())
    await expect(mute.publish(event('A::Asked'), { channel: 'requests' })).rejects.toMatchObject({
      code: 'ERR_PUBLISH_REJECTED',
      message: expect.stringMatching(/permission is missing for The exchange "strict.requests"/),
    })
    const opening = mute.subscribe(
      { channel: 'results', types: ['A::Done'], reading: { kind: 'own' } },
      async () => 'ack',
    )
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/permission is missing for Binding/),
    })
  }, 180_000)

  it('a start says that the user may not write to the default exchange, also where nothing else needs it', async () => {
    await node.control('add_user', 'plain', 'secret')
    await node.control('set_permissions', 'plain', '^plain.*', '^plain.*', '^plain.*')
    const transport = amqp({ url: node.url.replace('guest:guest', 'plain:secret'), prefix: 'plain' })
    const gateway = createGateway({ transport })
    gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    await expect(gateway.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/permission is missing for .*"write" on the default exchange, amq\.default/),
    })
    await gateway.close()
  }, 180_000)

  it('a start says that the user has no access to the virtual host', async () => {
    await node.control('add_user', 'stranger', 'secret')
    const transport = amqp({ url: node.url.replace('guest:guest', 'stranger:secret') })
    await expect(transport.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/does not open its virtual host.*option url/),
    })
  }, 180_000)

  it('a connection that was handed in is not made again: its loss is told, and stays', async () => {
    const proxy = await TcpProxy.start(node.url)
    opened.push(() => proxy.stop())
    const connection = await amqplib.connect(proxy.through(node.url), { noDelay: true })
    const transport = amqp({ connection })
    const told: string[] = []
    await transport.start({ down: () => told.push('down'), up: () => told.push('up') })
    await transport.publish(event('A::Done'), { channel: 'results' })
    proxy.reset()
    await until(() => told.length === 1)
    await expect(transport.publish(event('A::Done'), { channel: 'results' })).rejects.toMatchObject({
      code: 'ERR_TRANSPORT_UNAVAILABLE',
    })
    await sleep(500)
    expect(told).toEqual(['down'])
    await transport.close()
  })

  it('needs the permissions that its documentation names, and no more', async () => {
    const own = '|strict-own-.*'
    const users = { gateway: own, worker: '' }
    for (const [user, more] of Object.entries(users)) {
      // What stands in a cell of a table has its bars escaped.
      const documented = (name: string) =>
        String(new RegExp(`\\| ${name} \\| \`(.*)\` \\|`).exec(manual)?.[1])
          .replaceAll('\\|', '|')
          .replace(own, more)
      await node.control('add_user', user, 'secret')
      await node.control('set_permissions', user, ...['configure', 'write', 'read'].map(documented))
    }
    const as = (user: string) => amqp({ url: node.url.replace('guest:guest', `${user}:secret`), prefix: 'strict' })
    const troubles: unknown[] = []
    const worker = createWorker({ transport: as('worker') })
    worker.on('error', (error) => troubles.push(error))
    worker.handle('A::Asked', async ({ data }) => ({ type: 'A::Done', data }))
    await worker.start()
    opened.push(() => worker.close())
    const gateway = createGateway({ transport: as('gateway'), store: memoryStore() })
    gateway.on('error', (error) => troubles.push(error))
    gateway.on('unavailable', (trouble) => troubles.push(trouble))
    const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
    await gateway.start()
    opened.push(() => gateway.close())
    expect((await command.request({}, { waitMs: 5000 })).kind).toBe('completed')
    // Long enough for a message to its own queue.
    await sleep(12_000)
    expect(troubles).toEqual([])
  }, 180_000)

  it('a connection that was handed in stays open after the last close; one of a function is made again', async () => {
    const connection = await amqplib.connect(node.url, { noDelay: true })
    const transport = amqp({ connection })
    await transport.start()
    await transport.close()
    await (await connection.createChannel()).close()
    await connection.close()
    const proxy = await TcpProxy.start(node.url)
    opened.push(() => proxy.stop())
    const made = amqp({ connection: () => amqplib.connect(proxy.through(node.url), { noDelay: true }) })
    const told: string[] = []
    await made.start({ down: () => told.push('down'), up: () => told.push('up') })
    proxy.reset()
    await until(() => told.at(-1) === 'up', 15_000)
    await made.close()
    await until(() => proxy.connections === 0)
  }, 180_000)
})
