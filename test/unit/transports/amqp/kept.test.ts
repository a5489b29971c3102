import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { toMessage } from '../../../../src/core/event.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { lingersMs, whenAlone } from '../../../../src/transports/amqp/alone.js'
import type { AmqpConnection, AmqpMessage, QueueState } from '../../../../src/transports/amqp/client.js'
import { Health } from '../../../../src/transports/amqp/health.js'
import { KeptReader } from '../../../../src/transports/amqp/kept.js'
import { Link } from '../../../../src/transports/amqp/link.js'
import { type AmqpSettings, resolveSettings } from '../../../../src/transports/amqp/options.js'
import { watch } from '../../core/support.js'

type Consumer = (message: AmqpMessage | null) => void

/** A queue with one active consumer. */
class Queue {
  /** Of somebody else, who gets all that comes. */
  others = 0
  isHidden = false
  readonly ids: string[] = []
  readonly #consumers: Consumer[] = []

  publish(id: string): void {
    this.ids.push(id)
    if (this.others === 0) for (const consumer of this.#consumers) consumer(messageOf(id, this.ids.length))
  }

  /** Brings all that there is. */
  consume(consumer: Consumer): void {
    this.#consumers.push(consumer)
    if (this.others === 0) for (const [index, id] of this.ids.entries()) consumer(messageOf(id, index + 1))
  }

  loseConsumers(): void {
    this.#consumers.length = 0
  }

  bringAgain(): void {
    for (const consumer of this.#consumers.splice(0)) this.consume(consumer)
  }

  forget(consumer: Consumer | undefined): void {
    const index = consumer === undefined ? -1 : this.#consumers.indexOf(consumer)
    if (index >= 0) this.#consumers.splice(index, 1)
  }

  get state(): QueueState {
    return { queue: 'kept', messageCount: 0, consumerCount: this.isHidden ? 0 : this.others + this.#consumers.length }
  }
}

function messageOf(messageId: string, deliveryTag: number): AmqpMessage {
  const fields = { deliveryTag, redelivered: false, exchange: '', routingKey: 'kept' }
  return { content: Buffer.alloc(0), fields, properties: { messageId } }
}

/** As much of a channel as a reader touches. */
class FakeChannel extends EventEmitter {
  readonly #queue: Queue
  #consumer: Consumer | undefined

  constructor(queue: Queue) {
    super()
    this.#queue = queue
  }

  async prefetch(): Promise<void> {}

  async consume(_: string, consumer: Consumer): Promise<unknown> {
    this.#consumer = consumer
    this.#queue.consume(consumer)
    return { consumerTag: 'one' }
  }

  publish(...message: [string, string, Buffer, { messageId?: string }?]): boolean {
    this.#queue.publish(message[3]?.messageId ?? '')
    return true
  }

  ack(): void {}

  async close(): Promise<void> {
    this.#queue.forget(this.#consumer)
    this.emit('close')
  }
}

class FakeConnection extends EventEmitter {
  readonly channels: FakeChannel[] = []
  isClosed = false
  readonly #queue: Queue

  constructor(queue: Queue) {
    super()
    this.#queue = queue
  }

  async createChannel(): Promise<FakeChannel> {
    const channel = new FakeChannel(this.#queue)
    this.channels.push(channel)
    return channel
  }

  async close(): Promise<void> {
    this.isClosed = true
    for (const channel of this.channels) await channel.close()
    this.emit('close')
  }
}

async function setUp({ isNew = false } = {}) {
  const clock = createFakeClock()
  const queue = new Queue()
  queue.publish('first')
  const connections: FakeConnection[] = []
  const connect = async (): Promise<AmqpConnection> => {
    connections.push(new FakeConnection(queue))
    return connections.at(-1) as unknown as AmqpConnection
  }
  const options = { waitForBroker: false, canReconnect: true, isOurs: true }
  const link = new Link({ clock, health: new Health(), connect, ...options })
  await link.start()
  const settings: AmqpSettings = resolveSettings({ url: 'amqp://localhost', replay: 'queues', clock })
  const seen: string[] = []
  const look = async () => queue.state
  const reader = new KeptReader({
    ...{ queue: 'kept', clock, link, check: look, count: () => {}, onClosed: () => {} },
    ...{ isNew, lingersMs: lingersMs(settings) },
    whenAlone: () => whenAlone('kept', look, { link, settings }),
    prepare: async () => 'first',
    mark: async (id) => queue.publish(id),
    isBlocked: () => false,
    onMessage: async ({ id }) => {
      seen.push(id)
      return 'ack'
    },
    parse: ({ properties: { messageId = '' } }) => ({
      ...toMessage({ type: 'A::Done', source: 'test', data: {} }, clock),
      id: messageId,
    }),
  })
  return { clock, queue, connections, link, reader, seen }
}

describe('a reader of a queue that is kept for it', () => {
  it('reads behind its position, once', async () => {
    const { clock, queue, reader, seen } = await setUp()
    queue.publish('second')
    await reader.open()
    queue.publish('third')
    await reader.caughtUp
    await clock.flush()
    expect(seen).toEqual(['second', 'third'])
    await reader.close()
  })

  it('is refused where somebody else reads on, and takes no connection from others', async () => {
    const { clock, queue, connections, reader } = await setUp()
    queue.others = 1
    const opening = watch(reader.open())
    await clock.advance(14_000)
    expect(opening.isSettled).toBe(false)
    await clock.advance(2000)
    await expect(opening.promise).rejects.toMatchObject({
      code: 'ERR_TRANSPORT_UNAVAILABLE',
      message: expect.stringContaining('a name of its own'),
    })
    expect([connections.length, connections[0]?.isClosed]).toEqual([1, false])
  })

  it('waits for the end of its predecessor', async () => {
    const { clock, queue, reader } = await setUp()
    queue.others = 1
    const opening = watch(reader.open())
    await clock.advance(12_000)
    queue.others = 0
    await clock.advance(1000)
    expect(opening.isSettled).toBe(true)
    await opening.promise
    await reader.close()
  })
  it('ends when somebody else has its queue once it is back, and goes on waiting', async () => {
    const { clock, queue, connections, reader } = await setUp()
    await reader.open()
    const ended = watch(reader.ended)
    queue.others = 1
    await connections[0]?.close()
    await clock.advance(14_000)
    expect([connections.length, ended.isSettled]).toEqual([2, false])
    await clock.advance(3000)
    expect(ended.isSettled).toBe(true)
    expect(await ended.promise).toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
  })

  it('goes on when its queue is free again in time', async () => {
    const { clock, queue, connections, reader, seen } = await setUp()
    await reader.open()
    const ended = watch(reader.ended)
    queue.others = 1
    await connections[0]?.close()
    await clock.advance(10_000)
    queue.others = 0
    queue.bringAgain()
    queue.publish('second')
    await clock.advance(60_000)
    expect([seen, ended.isSettled]).toEqual([['second'], false])
    await reader.close()
  })

  it('takes its queue anew when its consumer is lost in silence, and ends when that is of no use', async () => {
    const { clock, queue, connections, reader, seen } = await setUp()
    await reader.open()
    const ended = watch(reader.ended)
    await clock.advance(60_000)
    expect(connections[0]?.channels).toHaveLength(2)
    queue.loseConsumers()
    queue.publish('second')
    await clock.advance(16_000)
    expect([seen, ended.isSettled]).toEqual([['second'], false])
    expect(connections).toHaveLength(1)
    queue.others = 1
    await clock.advance(31_000)
    expect(ended.isSettled).toBe(true)
  })

  it('does not ask for more than may come', async () => {
    const { clock, queue, connections, reader } = await setUp()
    await reader.open()
    for (let count = 1; count < 2048; count += 1) queue.publish(`more-${count}`)
    await clock.advance(10)
    const before = queue.ids.length
    await clock.advance(60_000)
    expect([queue.ids.length, connections[0]?.channels.length]).toEqual([before, 2])
    await reader.close()
  })

  it('is refused when another takes the queue at the same moment', async () => {
    const { clock, queue, reader } = await setUp()
    // Not seen by the look before.
    queue.isHidden = true
    queue.others = 1
    const opening = watch(reader.open())
    await clock.advance(16_000)
    expect(opening.isSettled).toBe(true)
    await expect(opening.promise).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
  })

  it.each([
    ['new', true, 'ERR_TRANSPORT_UNAVAILABLE'],
    ['known', false, 'ERR_CONFIG'],
  ])('is refused when its first message is gone from a queue that is %s', async (_, isNew, code) => {
    const { queue, reader } = await setUp({ isNew })
    queue.ids.length = 0
    await expect(reader.open()).rejects.toMatchObject({ code })
  })
})
