import type { Clock } from '../../core/clock.js'
import { createId } from '../../core/ids.js'
import type { AmqpContent } from '../profiles/amqp-wire.js'

const MARKER = 'ra-marker-'

/** The id of a message that holds a place in a queue, and is no event. */
export function markerId(clock: Clock): string {
  return MARKER + createId(clock.now())
}

/** A message with such an id. */
export function markerContent(messageId: string): AmqpContent {
  return { properties: { messageId, deliveryMode: 2 }, body: new Uint8Array(0) }
}

/** Whether a message has such an id. */
export function isMarker(messageId: string | undefined): boolean {
  return messageId?.startsWith(MARKER) === true
}
