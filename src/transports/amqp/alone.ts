import { type GatewayError, isGatewayError } from '../../core/errors.js'
import { within } from '../../core/in-time.js'
import type { AmqpChannel, QueueState } from './client.js'
import { unavailable } from './failures.js'
import { closeChannel, type Link } from './link.js'
import type { AmqpSettings } from './options.js'

const LOOK_MS = 200
const ANSWER_MS = 10_000

/** How long another consumer may be that of a connection that is lost: the broker notices it after two heartbeats. */
export function lingersMs({ heartbeatSeconds }: AmqpSettings): number {
  return 3000 * heartbeatSeconds
}

/** Refuses a queue that somebody reads. */
export function notAlone(queue: string): GatewayError {
  return unavailable(`The queue "${queue}" has a reader: each instance needs a name of its own (option instance).`)
}

/**
 * Waits until nobody reads a queue that keeps what one reader needs. On a channel of its own, and before the reader is
 * a part of the link: setting up a part has a limit that is shorter than this, and costs the connection of all others.
 */
export async function whenAlone(
  queue: string,
  look: (channel: AmqpChannel) => Promise<QueueState>,
  { link, settings }: { readonly link: Link; readonly settings: AmqpSettings },
): Promise<void> {
  const { clock } = settings
  const late = () => unavailable(`RabbitMQ has not answered for ${ANSWER_MS} ms.`)
  const answer = <T>(call: Promise<T>): Promise<T> => within(call, { ms: ANSWER_MS, late, clock })
  const channel = await answer(openChannel(link))
  try {
    for (let leftMs = lingersMs(settings); (await answer(look(channel))).consumerCount > 0; leftMs -= LOOK_MS) {
      if (leftMs <= 0) throw notAlone(queue)
      await new Promise<void>((resolve) => void clock.setTimer(resolve, LOOK_MS))
    }
  } catch (error) {
    throw isGatewayError(error) ? error : unavailable('The connection to RabbitMQ is of no use.', error)
  } finally {
    await closeChannel(channel, clock)
  }
}

async function openChannel({ connection }: Link): Promise<AmqpChannel> {
  if (connection === undefined) throw unavailable('There is no connection to RabbitMQ at the moment.')
  try {
    const channel = await connection.createChannel()
    // The call that has failed says it too.
    channel.on('error', () => {})
    return channel
  } catch (error) {
    throw unavailable('The connection to RabbitMQ is of no use.', error)
  }
}
