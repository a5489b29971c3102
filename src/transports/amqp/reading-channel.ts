import type { Clock } from '../../core/clock.js'
import type { AmqpChannel, AmqpConnection } from './client.js'
import { Settler } from './settler.js'

/** A channel to read from, and what settles its deliveries. */
export interface ReadingChannel {
  readonly channel: AmqpChannel
  readonly settler: Settler
}

/** Opens a channel to read from; `onLost` is called at its end, with the reason. */
export async function openReading(
  connection: AmqpConnection,
  clock: Clock,
  onLost: (channel: AmqpChannel, reason: unknown) => void,
): Promise<ReadingChannel> {
  const channel = await connection.createChannel()
  const settler = new Settler(channel, clock)
  let failure: unknown
  channel.on('error', (error: unknown) => {
    failure ??= error
  })
  channel.on('close', () => {
    settler.lost()
    onLost(channel, failure ?? new Error('The channel was closed.'))
  })
  return { channel, settler }
}
