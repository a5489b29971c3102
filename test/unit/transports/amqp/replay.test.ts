import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { toMessage } from '../../../../src/core/event.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import type { AmqpConnection, AmqpMessage } from '../../../../src/transports/amqp/client.js'
import { Health } from '../../../../src/transports/amqp/health.js'
import { Link } from '../../../../src/transports/amqp/link.js'
import { startOf } from '../../../../src/transports/amqp/place.js'
import { ReplayReader } from '../../../../src/transports/amqp/replay.js'

type Consumer = (message: AmqpMessage | null) => void

/** A stream, as far as a replay touches it. */
class Stream {
  readonly #messages: { readonly offset: number; readonly key: string; readonly text: string }[] = []
  readonly #consumers: { readonly from: number; readonly take: Consumer }[] = []
  #next = 0

  publish(text: string, key = 'A::Done'): void {
    const message = { offset: this.#next, key, text }
    this.#next += 1
    this.#messages.push(message)
    for (const { from, take } of this.#consumers) if (message.offset >= from) take(toDelivery(message))
  }

  /** Leaves an offset to the broker, which keeps notes of its own in the stream. */
  skip(): void {
    this.#next += 1
  }

  /** Deletes what is before an offset, as retention does. */
  retain(from: number): void {
    while ((this.#messages[0]?.offset ?? from) < from) this.#messages.shift()
  }

  consume(at: unknown, take: Consumer): void {
    const from = typeof at === 'number' ? at : at === 'next' ? this.#next : 0
    for (const message of this.#messages) if (message.offset >= from) take(toDelivery(message))
    this.#consumers.push({ from, take })
  }
}

function toDelivery({ offset, key, text }: { offset: number; key: string; text: string }): AmqpMessage {
  const fields = { deliveryTag: offset + 1, redelivered: false, exchange: 'results', routingKey: key }
  return { content: Buffer.from(text), fields, properties: { headers: { 'x-stream-offset': offset } } }
}

function connectionTo(stream: Stream): AmqpConnection {
  const createChannel = async () =>
    Object.assign(new EventEmitter(), {
      prefetch: async () => {},
      ack: () => {},
      consume: async (_: string, take: Consumer, { arguments: { 'x-stream-offset': at } }: never) => {
        stream.consume(at, take)
        return { consumerTag: 'one' }
      },
      close: async () => {},
    })
  return Object.assign(new EventEmitter(), { createChannel, close: async () => {} }) as unknown as AmqpConnection
}

async function open(stream: Stream, after: string) {
  const clock = createFakeClock()
  const [texts, positions]: [string[], string[]] = [[], []]
  const connect = async () => connectionTo(stream)
  const link = new Link({
    clock,
    health: new Health(),
    connect,
    waitForBroker: false,
    canReconnect: true,
    isOurs: true,
  })
  await link.start()
  let markers = 0
  const reader = new ReplayReader({
    ...{ stream: 'results.replay', from: startOf({ after }), clock, link, count: () => {}, onClosed: () => {} },
    declare: async () => {},
    mark: async (tell) => {
      markers += 1
      const key = `${markers}.marker`
      tell(key)
      stream.publish('', key)
    },
    isBlocked: () => false,
    onMessage: async ({ body }, { position = '' }) => {
      texts.push(Buffer.from(body).toString())
      positions.push(position)
      return 'ack'
    },
    parse: ({ fields, content }) =>
      fields.routingKey.endsWith('.marker')
        ? undefined
        : { ...toMessage({ type: 'A::Done', source: 'test', data: {} }, clock), body: content },
  })
  await reader.open()
  return { reader, texts, positions }
}

/** A stream with these messages, and the position of its message at 1. */
async function streamOf(...texts: string[]) {
  const stream = new Stream()
  for (const text of texts) stream.publish(text)
  const first = await open(stream, '0')
  await first.reader.caughtUp
  await first.reader.close()
  return { stream, position: first.positions[0] ?? '' }
}

describe('a replay behind a position in a stream', () => {
  it('knows the stream by the message at the position, which it does not hand over again', async () => {
    const { stream, position } = await streamOf('a', 'b')
    expect(position).toMatch(/^1~[\w-]{8}$/)
    stream.publish('c')
    const { reader, texts, positions } = await open(stream, position)
    await reader.caughtUp
    // Between b and c stands the marker of the reader before.
    expect([texts, positions[0]?.split('~')[0]]).toEqual([['c'], '3'])
  })

  it('is refused when that is another message, or none', async () => {
    const { position } = await streamOf('a', 'b')
    const [another, hole, marked] = [new Stream(), new Stream(), new Stream()]
    for (const text of ['a', 'other', 'c']) another.publish(text)
    for (const text of ['a', '', 'c']) text === '' ? hole.skip() : hole.publish(text)
    for (const text of ['a', '', 'c']) marked.publish(text, text === '' ? 'old.marker' : undefined)
    for (const stream of [another, hole, marked])
      await expect(open(stream, position)).rejects.toMatchObject({
        code: 'ERR_CONFIG',
        message: expect.stringContaining('was made anew'),
      })
  })

  it('goes on when retention has deleted that message, and none behind it', async () => {
    const { stream, position } = await streamOf('a', 'b')
    stream.publish('c')
    stream.retain(2)
    const { reader, texts } = await open(stream, position)
    await reader.caughtUp
    expect(texts).toEqual(['c'])
    stream.retain(3)
    await expect(open(stream, position)).rejects.toMatchObject({ message: expect.stringContaining('has lost') })
  })

  it('goes on over notes of the broker', async () => {
    const { stream, position } = await streamOf('a', 'b')
    stream.skip()
    stream.publish('c')
    const { reader, texts } = await open(stream, position)
    await reader.caughtUp
    expect(texts).toEqual(['c'])
  })
})
