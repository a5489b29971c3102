import { GatewayError } from '../../core/errors.js'
import { MARK_LENGTH, markOf } from '../../core/mark.js'
import type { ReplayStart } from '../../core/transport.js'
import type { AmqpMessage } from './client.js'
import { offsetOf } from './stream.js'

/** A message of a stream that was read, by which the stream is known again. */
export interface Place {
  readonly offset: number
  /** Undefined in positions that older versions have written. */
  readonly mark?: string | undefined
}

const POSITION = new RegExp(`^(\\d{1,15})(?:~([\\w-]{${MARK_LENGTH}}))?$`)

/** The mark is made of what a broker gives back as it was, whatever its version. */
export function placeOf(message: AmqpMessage): Place {
  const { properties, fields, content } = message
  const mark = markOf([fields.routingKey, properties.messageId, properties.correlationId, content])
  return { offset: offsetOf(message), mark }
}

/** A position is an offset and a mark: `15~Xk3v_Q-0`. */
export function formatPlace({ offset, mark }: Place): string {
  return `${offset}~${mark}`
}

/**
 * Where a replay starts; of one from now on only the broker knows it.
 * @throws GatewayError ERR_CONFIG
 */
export function startOf(from: ReplayStart): Place | 'beginning' | 'now' {
  if (typeof from === 'string') return from
  const match = POSITION.exec(from.after)
  if (match !== null) return { offset: Number(match[1]), mark: match[2] }
  throw new GatewayError('ERR_CONFIG', `${JSON.stringify(from.after)} is no position in a stream of RabbitMQ.`)
}
