import type { Clock } from '../../core/clock.js'
import { createId } from '../../core/ids.js'

const MARKER = 'ra-marker-'

/** The id of a message that holds a place in a queue, and is no event. */
export function markerId(clock: Clock): string {
  return MARKER + createId(clock.now())
}

/** Whether a message has such an id. */
export function isMarker(messageId: string | undefined): boolean {
  return messageId?.startsWith(MARKER) === true
}
