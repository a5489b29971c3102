import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/core/clock.js'
import type { AmqpChannel } from '../../../../src/transports/amqp/client.js'
import { Settler } from '../../../../src/transports/amqp/settler.js'

function setUp() {
  const frames: string[] = []
  let isBroken = false
  const send = (frame: string) => {
    if (isBroken) throw new Error('the channel is closed')
    frames.push(frame)
  }
  const channel = {
    ack: ({ fields }: { fields: { deliveryTag: number } }, upTo = false) =>
      send(`ack ${fields.deliveryTag}${upTo ? ' and before' : ''}`),
    nack: ({ fields }: { fields: { deliveryTag: number } }, _: boolean, requeue: boolean) =>
      send(`${requeue ? 'requeue' : 'reject'} ${fields.deliveryTag}`),
  } as unknown as AmqpChannel
  const settler = new Settler(channel, systemClock)
  for (let tag = 1; tag <= 5; tag += 1) settler.delivered(tag)
  const breakChannel = () => {
    isBroken = true
  }
  return { settler, frames, breakChannel }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

describe('settling deliveries', () => {
  it('one frame acknowledges all that are done from the oldest on', async () => {
    const { settler, frames } = setUp()
    for (const tag of [2, 1, 3]) settler.ack(tag)
    expect(frames).toEqual([])
    await nextTurn()
    expect(frames).toEqual(['ack 3 and before'])
  })

  it('what is done before an older one is acknowledged alone, so that nobody waits for the slow', async () => {
    const { settler, frames } = setUp()
    for (const tag of [1, 3, 5]) settler.ack(tag)
    await nextTurn()
    expect(frames).toEqual(['ack 1 and before', 'ack 3', 'ack 5'])
    settler.ack(2)
    settler.ack(4)
    await nextTurn()
    expect(frames.slice(3)).toEqual(['ack 4 and before'])
  })

  it('what was given back is not acknowledged by a later frame', async () => {
    const { settler, frames } = setUp()
    settler.nack(1, true)
    settler.nack(2, false)
    settler.ack(3)
    await nextTurn()
    expect(frames).toEqual(['requeue 1', 'reject 2', 'ack 3 and before'])
  })

  it('nothing is settled twice', async () => {
    const { settler, frames } = setUp()
    settler.ack(1)
    settler.flush()
    settler.ack(1)
    settler.nack(1, true)
    await nextTurn()
    expect(frames).toEqual(['ack 1 and before'])
  })

  it('a lost channel gets no frames, whether it was told of or noticed', async () => {
    const told = setUp()
    told.settler.ack(1)
    told.settler.lost()
    const noticed = setUp()
    noticed.breakChannel()
    noticed.settler.ack(1)
    await nextTurn()
    noticed.settler.nack(2, true)
    expect([...told.frames, ...noticed.frames]).toEqual([])
  })
})
