import { isGatewayError } from './errors.js'
import type { EventMessage } from './event.js'

/** Says why a result that was read cannot be used. */
export function describeMalformed(message: EventMessage, error: unknown): string {
  return `The result event ${message.type || 'without a type'} cannot be used: ${whyOf(message, error)}.`
}

function whyOf({ isUnreadable }: EventMessage, error: unknown): string {
  if (error instanceof SyntaxError) return isUnreadable ? 'it is no CloudEvent' : 'it is not valid JSON'
  const code = isGatewayError(error) ? error.code : undefined
  if (code === 'ERR_INVALID_INPUT') return 'it does not match its schema'
  if (code === 'ERR_MALFORMED_RESULT') return 'the store does not take it'
  return 'it cannot be told what it stands for'
}
