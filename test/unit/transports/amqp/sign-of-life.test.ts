import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { AmqpConnection } from '../../../../src/transports/amqp/client.js'
import { SignOfLife } from '../../../../src/transports/amqp/sign-of-life.js'

class Channel extends EventEmitter {
  isClosed = false
  prefetch: () => Promise<void> = async () => {}

  async close(): Promise<void> {
    if (this.isClosed) throw new Error('Channel closed')
    this.isClosed = true
    this.emit('close')
  }
}

function connect() {
  const channels: Channel[] = []
  const createChannel = async () => {
    const channel = new Channel()
    channels.push(channel)
    return channel
  }
  return { channels, connection: { createChannel } as unknown as AmqpConnection }
}

describe('the sign of life of a broker', () => {
  it('is asked for on one channel for as long as the connection lasts', async () => {
    const [first, second] = [connect(), connect()]
    const sign = new SignOfLife()
    for (const { connection } of [first, first, first, second]) await sign.ask(connection)
    expect(first.channels.map(({ isClosed }) => isClosed)).toEqual([true])
    expect(second.channels).toHaveLength(1)
    sign.close()
    await new Promise(setImmediate)
    expect(second.channels[0]?.isClosed).toBe(true)
  })

  it('is asked for on a new channel when the last one was closed, or failed, or says nothing', async () => {
    const { channels, connection } = connect()
    const sign = new SignOfLife()
    await sign.ask(connection)
    channels[0]?.emit('error', new Error('closed by the broker'))
    channels[0]?.emit('close')
    await sign.ask(connection)
    Object.assign(channels[1] ?? {}, { prefetch: () => Promise.reject(new Error('Channel closed')) })
    await expect(sign.ask(connection)).rejects.toThrow('Channel closed')
    await sign.ask(connection)
    Object.assign(channels[2] ?? {}, { prefetch: () => new Promise(() => {}) })
    void sign.ask(connection)
    await sign.ask(connection)
    expect(channels.map(({ isClosed }) => isClosed)).toEqual([true, true, true, false])
  })
})
