import amqplib from 'amqplib'
import { memoryStore, type RecordSpace, type Store } from 'respond-async'
import * as sources from 'respond-async/read-model'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../../src/core/clock.js'
import { toMessage } from '../../../src/core/event.js'
import { until } from '../../../src/testing/contract.js'
import { type AmqpClient, type AmqpConnection, type AmqpOptions, amqp } from '../../../src/transports/amqp/index.js'
import { loadMutant } from '../../race/support/mutants.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { ProbeTimers, SilencingClient } from '../../support/silent-consumers.js'
import { TcpProxy } from '../../support/tcp-proxy.js'

type Module = typeof sources

const missing = await whyNoRabbitMq()
const client = new RecordingClient()
const opened: (() => Promise<unknown>)[] = []
/** What the broker brings, at most, without an acknowledgement. */
const LIMIT = 2048

afterEach(async () => {
  for (const end of opened.splice(0).reverse()) await end()
})
afterAll(() => (missing === undefined ? client.cleanUp() : undefined))

/** Each state is the list of all events of its key, so that one too many, or out of order, shows. */
type Numbers = readonly number[]

const definition: sources.ProjectionDefinition<{ 'A::Done': { key: string; n: number } }, Numbers> = {
  name: 'things',
  version: 1,
  key: ({ data }) => data.key,
  on: { 'A::Done': (state = [], { data }) => [...state, data.n] },
}

type All = sources.ReadModelOptions<Numbers>
/** Undefined takes one away. */
type Options = { readonly [Name in keyof All]?: All[Name] | undefined }

interface Init {
  readonly module?: Module
  readonly options?: Options
  readonly amqp?: Partial<AmqpOptions>
  /** Called after each record that was written. */
  readonly onWritten?: (key: string) => Promise<void>
}

/** A broker with one kind of event, and instances of a service that reads them. */
async function open() {
  const prefix = uniquePrefix()
  const store = memoryStore()
  await store.start()
  const publisher = amqp({ url: AMQP_URL, client, prefix, replay: 'queues' })
  await publisher.start()
  opened.push(() => publisher.close())
  let count = 0
  const publish = async (many = 1, key = 'a'): Promise<void> => {
    const events = Array.from({ length: many }, () => {
      count += 1
      return toMessage({ type: 'A::Done', source: 'test', data: { key, n: count } }, systemClock)
    })
    await Promise.all(events.map((event) => publisher.publish(event, { channel: 'results' })))
  }
  const instance = (init: Init = {}) => openInstance({ prefix, store, ...init })
  const queue = (name = 'one') => `${prefix}.results.kept.read-model.things.1.${name}`
  return { prefix, store, publisher, publish, instance, queue, numbers: () => upTo(count) }
}

/** An instance that can be killed. */
async function openInstance({
  prefix,
  store,
  module = sources,
  options,
  onWritten,
  ...init
}: Init & { prefix: string; store: Store }) {
  const proxy = await TcpProxy.start(AMQP_URL)
  let isAlive = true
  const written: string[] = []
  const proxied = { url: proxy.through(AMQP_URL), client, prefix, replay: 'queues', heartbeatSeconds: 1 } as const
  const transport = amqp({ ...proxied, ...init.amqp })
  const records: RecordSpace = {
    get: (key) => store.records.get(key),
    list: (first, page) => store.records.list(first, page),
    delete: (key, version) => store.records.delete(key, version),
    put: async (write) => {
      if (!isAlive) throw new Error('The process is gone.')
      const version = await store.records.put(write)
      written.push(write.key)
      // Before it is a snapshot, a start notes what the read model is made of.
      if (!write.key.endsWith('/types')) await onWritten?.(write.key)
      return version
    },
  }
  const things = module.createReadModel<Numbers>({
    ...{ transport, store: { records, start: async () => {}, close: async () => {} }, instance: 'one' },
    projection: module.defineProjection(definition),
    load: () => [],
    ...options,
  } as All)
  const errors: string[] = []
  things.on('error', ({ code }) => errors.push(code))
  let dying: Promise<void> | undefined
  const kill = (): Promise<void> => {
    // At once: what is gone writes nothing more, however long its connections take to end.
    isAlive = false
    dying ??= proxy.stop()
    return dying
  }
  opened.push(async () => {
    await things.close()
    await kill()
  })
  const state = async (key = 'a') => (await things.get(key))?.state
  return { things, proxy, errors, written, kill, state }
}

/** The acknowledgements of its channels do not reach the broker. */
class Unacknowledging implements AmqpClient {
  readonly #client: AmqpClient

  constructor(inner: AmqpClient) {
    this.#client = inner
  }

  async connect(url: string, options?: Readonly<Record<string, unknown>>): Promise<AmqpConnection> {
    const connection = await this.#client.connect(url, options)
    const create = connection.createChannel.bind(connection)
    const value = async () => Object.assign(await create(), { ack: () => {} })
    return Object.create(connection, { createChannel: { value } }) as AmqpConnection
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

async function onBroker<T>(act: (channel: amqplib.Channel) => Promise<T>): Promise<T> {
  const connection = await amqplib.connect(AMQP_URL)
  try {
    return await act(await connection.createChannel())
  } finally {
    await connection.close()
  }
}

/** How many messages a queue has, those that are not acknowledged too, once nobody reads it. */
async function lengthOf(queue: string): Promise<number> {
  return onBroker(async (channel) => {
    let messages = 0
    await until(async () => {
      const { messageCount, consumerCount } = await channel.checkQueue(queue)
      messages = messageCount
      return consumerCount === 0
    })
    return messages
  })
}

describe.skipIf(missing !== undefined)('a read model that is fed from a queue of its own', () => {
  it('goes on after a crash with its snapshot and what the queue has kept, each event once', async () => {
    const { instance, publish, numbers, queue } = await open()
    const first = await instance({ options: { snapshotMs: 50 } })
    await first.things.start()
    // More than a row can know of.
    await publish(100)
    await until(async () => (await first.state())?.length === 100)
    await first.kill()
    await publish(50)
    expect(await lengthOf(queue())).toBeGreaterThan(50)
    const second = await instance()
    await second.things.start()
    expect(await second.state()).toEqual(numbers())
    await publish()
    await until(async () => (await second.state())?.length === 151)
    expect(await second.state()).toEqual(numbers())
  })

  it('has each event once when it is killed after a snapshot and before its acknowledgement', async () => {
    const { instance, publish, numbers, queue } = await open()
    let isFirst = true
    let kill = async () => {}
    const first = await instance({
      onWritten: async (key) => {
        if (key.endsWith('/head') && !isFirst) await kill()
        isFirst = false
      },
      options: { snapshotMs: 300 },
    })
    kill = first.kill
    await first.things.start()
    await publish(80)
    await until(async () => (await first.state())?.length === 80)
    // The last snapshot has been taken, and nothing was acknowledged.
    await until(() => first.proxy.connections === 0)
    expect(await lengthOf(queue())).toBeGreaterThanOrEqual(81)
    const second = await instance()
    await second.things.start()
    expect(await second.state()).toEqual(numbers())
  })

  it('acknowledges what a snapshot has, but the last event', async () => {
    const { instance, publish, queue } = await open()
    const { things, state, kill, errors } = await instance({ options: { snapshotMs: 20 } })
    await things.start()
    await publish(10)
    await until(async () => (await state())?.length === 10)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await kill()
    expect(errors).toEqual([])
    // It, and perhaps the marker of the channel that was killed.
    expect(await lengthOf(queue())).toBeLessThanOrEqual(2)
  })

  it('has the order and each event once when its connection is lost with hundreds that are not acknowledged', async () => {
    const { instance, publish, numbers } = await open()
    const { things, state, proxy, errors } = await instance()
    await things.start()
    await publish(300)
    await until(async () => ((await state())?.length ?? 0) >= 100)
    proxy.reset()
    await publish(100)
    proxy.reset()
    await until(async () => (await state())?.length === 400, 15_000)
    expect(await state()).toEqual(numbers())
    expect(things.status.isReady).toBe(true)
    expect(errors).toEqual([])
  })

  it('has each event once when a snapshot is taken while its connection is away', async () => {
    const { instance, publish, numbers } = await open()
    const { things, state, proxy, written } = await instance({ options: { snapshotMs: 500 } })
    await things.start()
    await publish(100)
    await until(async () => (await state())?.length === 100)
    await proxy.stop()
    const before = written.length
    await until(() => written.slice(before).some((key) => key.endsWith('/head')))
    await proxy.listen()
    await publish()
    await until(async () => (await state())?.includes(101) === true, 10_000)
    expect(await state()).toEqual(numbers())
  })

  it('has each event once when acknowledgements are lost with their connection', async () => {
    const { instance, publish, numbers } = await open()
    const { things, state, proxy, written } = await instance({
      options: { snapshotMs: 300 },
      amqp: { client: new Unacknowledging(client) },
    })
    await things.start()
    await publish(100)
    await until(async () => (await state())?.length === 100)
    const before = written.length
    await until(() => written.slice(before).some((key) => key.endsWith('/head')))
    await new Promise((resolve) => setTimeout(resolve, 100))
    proxy.reset()
    await until(() => !things.status.isConnected)
    await publish()
    await until(async () => (await state())?.includes(101) === true, 10_000)
    expect(await state()).toEqual(numbers())
  })

  it('goes on where it was when its consumer was lost in silence', async () => {
    const { instance, publish, numbers, queue } = await open()
    const [silencing, timers] = [new SilencingClient(client), new ProbeTimers()]
    const { things, state, errors } = await instance({ amqp: { client: silencing, clock: timers.clock } })
    await things.start()
    await publish(50)
    await until(async () => (await state())?.length === 50)
    await silencing.silence(queue())
    await publish(50)
    timers.run(10_000)
    timers.run(5000)
    await until(async () => (await state())?.length === 100)
    expect([await state(), errors]).toEqual([numbers(), []])
  })

  it('waits for what another consumer of its queue has, and keeps the order', async () => {
    const { instance, publish, numbers, queue } = await open()
    const { things, state, proxy, errors } = await instance()
    await things.start()
    await publish(50)
    await until(async () => (await state())?.length === 50)
    // As a lost connection of its own does that the broker takes for alive.
    const other = await amqplib.connect(AMQP_URL)
    const taken: unknown[] = []
    await (await other.createChannel()).consume(queue(), (message) => taken.push(message))
    proxy.reset()
    await until(() => taken.length > 50)
    await until(() => things.status.isConnected)
    await publish(50)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await other.close()
    await until(async () => (await state())?.length === 100, 10_000)
    expect([await state(), errors]).toEqual([numbers(), []])
  })

  it('has an event once that was published twice, and acknowledges both', async () => {
    const { instance, publisher, queue } = await open()
    const { things, state, kill, written } = await instance({ options: { snapshotMs: 500 } })
    await things.start()
    const event = (key: string, n: number) =>
      toMessage({ type: 'A::Done', source: 'test', data: { key, n } }, systemClock)
    const events = upTo(60).map((n) => event('a', n))
    const all = [...events, ...events.slice(0, 50), event('b', 1)]
    await Promise.all(all.map((one) => publisher.publish(one, { channel: 'results' })))
    await until(async () => (await state('b')) !== undefined)
    const before = written.length
    await until(() => written.slice(before).some((key) => key.endsWith('/head')))
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await state()).toEqual(upTo(60))
    await kill()
    expect(await lengthOf(queue())).toBeLessThanOrEqual(2)
  })

  it('takes snapshots as fast as it must to get through what has piled up', async () => {
    const { instance, publish, numbers, queue } = await open()
    const first = await instance()
    await first.things.start()
    await first.kill()
    await publish(2 * LIMIT + 10)
    const second = await instance()
    await second.things.start()
    expect(await second.state()).toEqual(numbers())
    await second.kill()
    expect(await lengthOf(queue())).toBeLessThan(LIMIT)
  }, 60_000)

  it('stands still while no snapshot can be taken, and goes on with the store', async () => {
    const { instance, publish, numbers } = await open()
    let isAway = false
    const { things, state, errors } = await instance({
      onWritten: async () => {
        if (isAway) throw new Error('The store is away.')
      },
    })
    await things.start()
    isAway = true
    await publish(LIMIT + 500)
    await until(() => errors.length > 1, 15_000)
    const handled = (await state())?.length ?? 0
    expect(handled).toBeGreaterThan(LIMIT / 2)
    expect(handled).toBeLessThanOrEqual(LIMIT)
    isAway = false
    await until(async () => (await state())?.length === LIMIT + 500, 15_000)
    expect(await state()).toEqual(numbers())
  }, 60_000)

  it('has each event once, in order, whenever it is killed', async () => {
    const { instance, publish, numbers } = await open()
    const first = await instance()
    await first.things.start()
    await first.kill()
    let isOver = false
    const publishing = (async () => {
      while (!isOver) {
        await publish(20)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })()
    for (let round = 0; round < 12; round += 1) {
      const { things, kill } = await instance({ options: { snapshotMs: 1 + round * 7 } })
      await things.start()
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 150))
      await kill()
    }
    isOver = true
    await publishing
    const last = await instance()
    await last.things.start()
    expect(await last.state()).toEqual(numbers())
  }, 60_000)

  it('is kept for each instance by its name', async () => {
    const { instance, publish, numbers } = await open()
    const both = await Promise.all(['one', 'two'].map((name) => instance({ options: { instance: name } })))
    for (const { things } of both) await things.start()
    await publish(5)
    for (const { state } of both) await until(async () => (await state())?.length === 5)
    await both[0]?.kill()
    await publish(5)
    const again = await instance({ options: { instance: 'one' } })
    await again.things.start()
    expect(await again.state()).toEqual(numbers())
  })

  it('has all that happens while it is loaded', async () => {
    const { instance, publish } = await open()
    const load = async function* () {
      await publish(2)
      yield { key: 'b', state: [0] }
    }
    const { things, state } = await instance({ options: { load } })
    await things.start()
    await until(async () => (await state())?.length === 2)
    expect([await state(), await state('b')]).toEqual([[1, 2], [0]])
  })

  it('begins anew when it was killed before its first snapshot', async () => {
    const { instance, publish, numbers, queue } = await open()
    let kill = async () => {}
    const first = await instance({
      // Not waited for: the store of a read model has a second to answer.
      onWritten: async () => void kill(),
      options: { load: () => [{ key: 'b', state: [0] }] },
    })
    kill = first.kill
    await expect(first.things.start()).rejects.toThrow('The process is gone.')
    await first.kill()
    // Its consumer is gone from the broker, too.
    await lengthOf(queue())
    const second = await instance()
    await second.things.start()
    await publish(3)
    await until(async () => (await second.state())?.length === 3)
    expect(await second.state()).toEqual(numbers())
  })

  it('keeps its channel alive with messages that are not acknowledged for long', async () => {
    const { instance, publish, numbers } = await open()
    const late: (() => void)[] = []
    const clock: Clock = {
      ...systemClock,
      setTimer: (callback, ms, isBackground) => {
        if (ms !== 600_000) return systemClock.setTimer(callback, ms, isBackground)
        late.push(callback)
        return () => {}
      },
    }
    const { things, state, errors } = await instance({ amqp: { clock } })
    await things.start()
    await publish(50)
    await until(async () => (await state())?.length === 50)
    for (let round = 1; round <= 3; round += 1) {
      late.at(-1)?.()
      await until(() => late.length > round)
    }
    await publish(50)
    await until(async () => (await state())?.length === 100)
    expect(await state()).toEqual(numbers())
    expect([things.status.isConnected, things.status.isReady, errors]).toEqual([true, true, []])
  })
})

describe.skipIf(missing !== undefined)('a queue of a read model that cannot be rebuilt from it', () => {
  /** An instance that has events in a snapshot and in the queue, and is no more. */
  async function openStopped() {
    const all = await open()
    const { things, state, kill } = await all.instance()
    await things.start()
    await all.publish(3)
    await until(async () => (await state())?.length === 3)
    await kill()
    return all
  }

  it('is refused when it was deleted, and when it was made anew', async () => {
    const { instance, queue, prefix } = await openStopped()
    await onBroker((channel) => channel.deleteQueue(queue()))
    const { things } = await instance({ options: { load: undefined } })
    await expect(things.start()).rejects.toMatchObject({
      code: 'ERR_NOT_REBUILDABLE',
      message: expect.stringMatching(/no load\(\)\..*does not exist/),
    })
    // Another store, and with it another snapshot.
    const empty = memoryStore()
    await empty.start()
    const other = await openInstance({ prefix, store: empty })
    await other.things.start()
    await other.kill()
    const { things: again } = await instance({ options: { load: undefined } })
    await expect(again.start()).rejects.toMatchObject({
      code: 'ERR_NOT_REBUILDABLE',
      message: expect.stringContaining('does not have the event of the snapshot'),
    })
  })

  it('is refused, and left as it is, when it was read further than the snapshot', async () => {
    const { instance, publish, queue, store, numbers } = await openStopped()
    const old = await store.records.get('read-model/things/1/instance/one/head')
    const chunks = await store.records.list('read-model/things/1/instance/one/chunk/')
    const next = await instance({ options: { snapshotMs: 20 } })
    await next.things.start()
    await publish(3)
    await until(async () => (await next.state())?.length === 6)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await next.kill()
    const before = await lengthOf(queue())
    // A backup, or a store that has lost its newest writes.
    const backup = memoryStore()
    await backup.start()
    for (const { key, value } of [
      ...chunks,
      ...(old ? [{ ...old, key: 'read-model/things/1/instance/one/head' }] : []),
    ])
      await backup.records.put({ key, value })
    const stale = await instance({
      options: { store: backup, load: undefined },
    })
    await expect(stale.things.start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
    await stale.kill()
    // The markers of those who looked are all that may come or go.
    expect(await lengthOf(queue())).toBeGreaterThanOrEqual(before - 1)
    const right = await instance()
    await right.things.start()
    expect(await right.state()).toEqual(numbers())
  })

  it('is begun anew with what load() gives', async () => {
    const { instance, queue, publish } = await openStopped()
    await onBroker((channel) => channel.deleteQueue(queue()))
    const { things, state } = await instance({ options: { load: () => [{ key: 'a', state: [0] }] } })
    await things.start()
    await publish()
    await until(async () => (await state())?.length === 2)
    expect(await state()).toEqual([0, 4])
  })

  it('makes its read model not ready when it is deleted, until that was loaded', async () => {
    const { instance, publish, queue } = await open()
    let isThere = true
    const { things, state, errors } = await instance({
      options: {
        load: () => {
          if (!isThere) throw new Error('The owner is away.')
          return [{ key: 'a', state: [0] }]
        },
      },
    })
    await things.start()
    isThere = false
    await onBroker((channel) => channel.deleteQueue(queue()))
    await until(() => errors.includes('ERR_NOT_CAUGHT_UP') && errors.length > 1)
    expect(things.status.isReady).toBe(false)
    isThere = true
    await until(() => things.status.isReady, 10_000)
    await publish()
    await until(async () => (await state())?.length === 2)
  })

  it.each([
    ['instance', { instance: undefined }],
    ['store', { store: undefined }],
  ])('is refused without the option %s', async (_, options) => {
    const { instance } = await open()
    const { things } = await instance({ options: options })
    await expect(things.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('the options instance and store'),
    })
  })

  it('is refused without load() at the first start', async () => {
    const { instance } = await open()
    const { things } = await instance({ options: { load: undefined } })
    await expect(things.start()).rejects.toMatchObject({
      code: 'ERR_NOT_REBUILDABLE',
      message: expect.stringContaining('nothing from before a queue was declared'),
    })
  })

  it('is refused to a second instance with the same name', async () => {
    const { instance } = await open()
    const [first, second] = [await instance(), await instance()]
    await first.things.start()
    await expect(second.things.start()).rejects.toMatchObject({
      code: 'ERR_TRANSPORT_UNAVAILABLE',
      message: expect.stringContaining('a name of its own'),
    })
    expect(first.things.status.isReady).toBe(true)
  })
})

/** Killed while a snapshot is being written, which then is not there. */
async function killedWhileSaving(module: Module): Promise<unknown> {
  const { instance, publish, numbers } = await open()
  let kill = async () => {}
  let isFirst = true
  const first = await instance({
    module,
    options: { snapshotMs: 100 },
    onWritten: async (key) => {
      if (key.endsWith('/head')) isFirst = false
      // Time for acknowledgements on their way.
      else if (!isFirst) await new Promise((resolve) => setTimeout(resolve, 200)).then(kill)
    },
  })
  kill = first.kill
  await first.things.start()
  await publish(3)
  await until(() => first.proxy.connections === 0)
  const second = await instance({ module, options: { load: undefined } })
  await second.things.start()
  return { has: await second.state(), wanted: numbers() }
}

/** Events come while the state is loaded that they change. */
async function publishedWhileLoading(module: Module): Promise<unknown> {
  const { instance, publish, numbers } = await open()
  const load = async function* () {
    await publish(2)
    yield* []
  }
  const { things, state } = await instance({ module, options: { load } })
  await things.start()
  await until(async () => (await state())?.length === 2, 500).catch(() => {})
  return { has: await state(), wanted: numbers() }
}

interface Order {
  readonly title: string
  scenario(module: Module): Promise<unknown>
  /** What is wrong, and what then becomes of the scenario. */
  readonly mutant: string
  readonly patches: readonly { readonly file?: string; readonly find: string; readonly replace: string }[]
  readonly outcome: object
}

const ORDERS: readonly Order[] = [
  {
    title: 'an instance that is killed while it writes a snapshot',
    scenario: killedWhileSaving,
    mutant: 'events that are released before the snapshot is stored',
    patches: [
      {
        find: 'const isNewest = await this.#snapshots.save(',
        replace: 'keeping?.release(position); const isNewest = await this.#snapshots.save(',
      },
    ],
    outcome: { code: 'ERR_NOT_REBUILDABLE' },
  },
  {
    title: 'an instance that loads what is changing',
    scenario: publishedWhileLoading,
    mutant: 'a state that is loaded before the queue is declared',
    patches: [
      {
        file: 'src/read-model/replay.ts',
        find: 'const opened = await open(from, settings, copy)',
        replace: `const early = []
          if (from === 'now') for await (const each of settings.load?.() ?? []) early.push(each)
          if (from === 'now') Object.assign(settings, { load: () => early })
          const opened = await open(from, settings, copy)`,
      },
    ],
    outcome: { has: undefined },
  },
]

describe.skipIf(missing !== undefined).each(ORDERS)('$title', ({ scenario, mutant, patches, outcome }) => {
  it('loses nothing', async () => {
    const { has, wanted } = (await scenario(sources)) as { has: unknown; wanted: unknown }
    expect(has).toEqual(wanted)
  })

  it(`would lose something by ${mutant}`, async () => {
    const planted = patches.map((patch) => ({ file: 'src/read-model/own-copy.ts', ...patch }))
    const module = await loadMutant<Module>(planted, 'src/read-model/index.ts')
    const seen = await scenario(module).catch((error: unknown) => ({ code: (error as { code?: string }).code }))
    expect(seen).toMatchObject(outcome)
  })
})
