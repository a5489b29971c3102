import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { AmqpConfirmChannel, AmqpConnection, AmqpMessage } from '../../../../src/transports/amqp/client.js'
import { DIRECT, Publisher } from '../../../../src/transports/amqp/publisher.js'
import { probeContent } from '../../../../src/transports/amqp/self-probe.js'

interface Sent {
  readonly options: { readonly mandatory?: boolean; readonly messageId?: string }
  readonly answer: (error: unknown) => void
}

/** As much of a channel as a publisher touches, with a log of what it was asked. */
class Wire extends EventEmitter {
  readonly log: string[] = []
  readonly sent: Sent[] = []
  onReply: (message: AmqpMessage | null) => void = () => {}
  isClosed = false

  async close(): Promise<void> {
    this.isClosed = true
  }

  async consume(queue: string, onMessage: (message: AmqpMessage | null) => void, options: object): Promise<void> {
    this.log.push(`consume ${queue} ${JSON.stringify(options)}`)
    this.onReply = onMessage
  }

  /** As amqplib does when its buffer is full: written all the same. */
  publish(...[, key, , options, answer]: [string, string, Buffer, Sent['options'], Sent['answer']]): boolean {
    this.log.push(`publish ${key}`)
    this.sent.push({ options, answer })
    return false
  }
}

async function open(replies: 'direct' | 'topic') {
  const wires: Wire[] = []
  const connection = {
    async createConfirmChannel() {
      const wire = new Wire()
      wires.push(wire)
      return wire as unknown as AmqpConfirmChannel
    },
  } as unknown as AmqpConnection
  const got: AmqpMessage[] = []
  const lost: string[] = []
  const publisher = new Publisher({
    prepare: async () => void wires.at(-1)?.log.push('prepare'),
    onLost: () => lost.push('channel'),
    onReply: replies === 'direct' ? (message) => got.push(message) : undefined,
    onRepliesLost: () => lost.push('replies'),
  })
  const attach = async () => {
    await publisher.attach(connection)
    const wire = wires.at(-1)
    if (wire === undefined) throw new Error('no channel was made')
    return wire
  }
  const publish = (id: string, bytes = 1) =>
    publisher
      .publish(
        { properties: { messageId: id }, body: Buffer.alloc(bytes) },
        { exchange: 'x', key: id, mandatory: true },
      )
      .then(
        () => 'confirmed',
        (error: { code: string }) => error.code,
      )
  return { publisher, wires, got, lost, attach, publish }
}

function tooLarge(size: number, limit: number): Error {
  const text = `message size ${size} is larger than configured max size ${limit}`
  return Object.assign(
    new Error(`Channel closed by server: 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - ${text}"`),
    { code: 406 },
  )
}

describe('a publisher', () => {
  it('FM-B9 refuses what comes while 128 MiB are unconfirmed, and takes it when they are confirmed, or lost', async () => {
    const { attach, publish, publisher } = await open('topic')
    const wire = await attach()
    const MIB = 1024 * 1024
    const first = [publish('a', 60 * MIB), publish('b', 60 * MIB)]
    expect(await publish('c', 10 * MIB)).toBe('ERR_TRANSPORT_UNAVAILABLE')
    expect(wire.sent).toHaveLength(2)
    const small = publish('d', MIB)
    wire.sent[0]?.answer(null)
    expect(await first[0]).toBe('confirmed')
    const second = publish('c', 10 * MIB)
    publisher.detach(new Error('the connection is gone'))
    expect(await Promise.all([first[1], small, second])).toEqual(Array(3).fill('ERR_PUBLISH_UNCONFIRMED'))
    const next = await attach()
    // One alone may be larger than all that is taken together.
    const alone = publish('e', 140 * MIB)
    expect(await publish('f')).toBe('ERR_TRANSPORT_UNAVAILABLE')
    next.sent[0]?.answer(null)
    expect(await alone).toBe('confirmed')
  })

  it('P01 FM-C4 reads direct replies without acknowledgements on its own channel, once and before it publishes', async () => {
    const { attach, publish, publisher, wires, got, lost } = await open('direct')
    expect(await publish('early')).toBe('ERR_TRANSPORT_UNAVAILABLE')
    const first = await attach()
    void publish('one')
    expect(first.log).toEqual(['prepare', `consume ${DIRECT} {"noAck":true}`, 'publish one'])
    first.onReply({ content: Buffer.from('reply') } as unknown as AmqpMessage)
    first.onReply(null)
    expect(got).toHaveLength(1)
    publisher.detach(new Error('reset'))
    const second = await attach()
    void publish('two')
    // Each channel has one consumer, so that none is refused with 406.
    expect(wires.map((wire) => wire.log.filter((line) => line.startsWith('consume')).length)).toEqual([1, 1])
    expect(second.log.at(-1)).toBe('publish two')
    expect(lost).toEqual(['replies'])
  })

  it('reads no direct replies where they come another way', async () => {
    const { attach } = await open('topic')
    expect((await attach()).log).toEqual(['prepare'])
  })

  it('P08 takes a message that came back for refused, although the broker confirms it', async () => {
    const { attach, publish } = await open('topic')
    const wire = await attach()
    const [refused, taken] = [publish('nowhere'), publish('somewhere')]
    wire.emit('return', { properties: { messageId: 'nowhere' } })
    for (const { answer } of wire.sent) answer(null)
    expect(await Promise.all([refused, taken])).toEqual(['ERR_PUBLISH_REJECTED', 'confirmed'])
  })

  it('B13 of a body that the broker finds too large alone is refused, and what was published with it goes out again', async () => {
    const { attach, publish, publisher, wires, lost } = await open('topic')
    const wire = await attach()
    const answers = [publish('before', 90), publish('large', 200), publish('behind', 80)]
    // amqplib tells it as the error of the channel, and at its close that nothing was confirmed.
    const error = tooLarge(200, 100)
    wire.emit('error', error)
    for (const { answer } of wire.sent) answer(new Error('channel closed'))
    wire.emit('close')
    publisher.detach(error)
    expect(lost).toEqual(['channel'])
    expect(await answers[1]).toBe('ERR_PUBLISH_REJECTED')
    expect(publisher.limit).toBe(100)
    answers.push(publish('meanwhile', 70))
    const next = await attach()
    const sent = ['publish before', 'publish behind', 'publish meanwhile']
    expect([wires.length, ...next.log]).toEqual([2, 'prepare', ...sent])
    for (const { answer } of next.sent) answer(null)
    expect(await Promise.all(answers)).toEqual(['confirmed', 'ERR_PUBLISH_REJECTED', 'confirmed', 'confirmed'])
  })

  it('B13 what waits for a new channel after a refusal is unconfirmed when the connection is lost meanwhile', async () => {
    const { attach, publish, publisher } = await open('topic')
    const wire = await attach()
    const answers = [publish('large', 200), publish('behind', 80)]
    const error = tooLarge(200, 100)
    wire.emit('error', error)
    publisher.detach(error)
    publisher.detach(new Error('reset'))
    expect(await Promise.all(answers)).toEqual(['ERR_PUBLISH_REJECTED', 'ERR_PUBLISH_UNCONFIRMED'])
  })

  it('P06 sends an expiration only with its probes, as text of milliseconds', () => {
    expect(probeContent().properties).toMatchObject({ expiration: '10000' })
  })
})
