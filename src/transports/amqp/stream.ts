import type { Clock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import { inTime } from '../../core/in-time.js'
import type { AmqpConnection, AmqpMessage } from './client.js'
import { closeChannel } from './link.js'

const ANSWER_MS = 5000

/** Where a message stands in its stream. */
export function offsetOf({ properties }: Pick<AmqpMessage, 'properties'>): number {
  return Number(properties.headers?.['x-stream-offset'])
}

/** What to look for in a stream, as nothing but reading tells the offset of a message. */
export interface Wanted {
  readonly stream: string
  /** Where to begin. */
  readonly at: 'first' | 'next'
  readonly clock: Clock
  isIt(message: AmqpMessage): boolean
}

/** The first message that is wanted. */
export interface Peek {
  readonly offset: Promise<number>
  close(): Promise<void>
}

/** Resolves when what comes next will be seen. */
export async function peek({ stream, at, clock, isIt }: Wanted, connection: AmqpConnection): Promise<Peek> {
  const channel = await connection.createChannel()
  const lost = (): Error => new Error(`The stream "${stream}" is not available.`)
  const gate = createGate<number>()
  // What goes wrong is the rejection of a call, or the end of the channel.
  channel.on('error', () => {})
  channel.on('close', () => gate.fail(lost()))
  const take = (message: AmqpMessage | null): void => {
    if (message === null) gate.fail(lost())
    else if (isIt(message)) gate.open(offsetOf(message))
    else channel.ack(message)
  }
  await channel.prefetch(1)
  await channel.consume(stream, take, { arguments: { 'x-stream-offset': at } })
  const close = (): Promise<void> => {
    gate.fail(lost())
    return closeChannel(channel, clock)
  }
  return { offset: gate.passed, close }
}

/** The oldest offset of a stream that has messages. */
export async function firstOffset(stream: string, connection: AmqpConnection, clock: Clock): Promise<number> {
  const first = await peek({ stream, at: 'first', clock, isIt: () => true }, connection)
  await inTime(first.offset, ANSWER_MS, clock).catch(() => {})
  // Rejects the offset that has not come.
  await first.close()
  return first.offset
}

/** The error of a replay whose place is gone. */
export function gone(text: string): GatewayError {
  return new GatewayError('ERR_CONFIG', text)
}

/** A promise that is settled from outside. */
export function createGate<T = void>() {
  let open = (_value: T): void => {}
  let fail = (_error: unknown): void => {}
  const passed = new Promise<T>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  // Who does not ask need not handle the error.
  passed.catch(() => {})
  return { passed, open, fail }
}
