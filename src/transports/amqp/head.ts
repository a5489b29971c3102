import type { AmqpContent, AmqpProperties } from '../profiles/amqp-wire.js'
import type { AmqpConnection } from './client.js'

/** amqplib writes a header table into a buffer of this size, and beyond its end without an error. */
const BUFFER_BYTES = 65_536
/** Of each frame; a content header is one frame (AMQP 0-9-1, 4.2.6.1), and the broker ends the connection for a larger one. */
const FRAME_BYTES = 8
/** The most that is beside the table: seven short strings, numbers and flags. */
const PROPERTIES_BYTES = 2048
/** Type, length and, at most, a number. */
const FIELD_BYTES = 10
const SHORT = 255

/** How much of headers, key and trace the connection takes; of one that does not say it, what amqplib takes. */
export function headLimit(connection: AmqpConnection | undefined): number {
  const inner = connection as { readonly connection?: { readonly frameMax?: unknown } } | undefined
  const frameMax = inner?.connection?.frameMax
  const frame = typeof frameMax === 'number' ? frameMax - FRAME_BYTES : BUFFER_BYTES
  return Math.min(frame, BUFFER_BYTES) - PROPERTIES_BYTES
}

/** What of a message, beside its body, is more than can be written; undefined when all of it fits. */
export function excessIn({ properties }: AmqpContent, routingKey: string, limit: number): string | undefined {
  if (isLong(routingKey)) return tooLong(routingKey)
  for (const name in properties) {
    const value = properties[name as keyof AmqpProperties]
    if (isLong(value)) return tooLong(value)
  }
  const { headers } = properties
  let size = 0
  for (const name in headers) {
    if (isLong(name)) return tooLong(name)
    const value = headers[name]
    size += Buffer.byteLength(name) + (typeof value === 'string' ? Buffer.byteLength(value) : 0) + FIELD_BYTES
  }
  return size > limit ? `Key, trace and headers have ${size} bytes; RabbitMQ takes ${limit}.` : undefined
}

function isLong(value: unknown): value is string {
  // Three bytes a character is the most that UTF-8 needs, so short texts are not measured.
  return typeof value === 'string' && value.length * 3 > SHORT && Buffer.byteLength(value) > SHORT
}

function tooLong(name: string): string {
  return `A name of ${Buffer.byteLength(name)} bytes is too long: RabbitMQ takes ${SHORT} (${name.slice(0, 20)}…).`
}
