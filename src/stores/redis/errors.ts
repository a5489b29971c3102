import { ERRORS, GatewayError, isGatewayError } from '../../core/errors.js'

/** Errors that Redis replies begin with a word in capitals; those of clients and sockets are sentences. */
const REPLY = /^[A-Z]{3,}(?: |$)/

/** With these the server has refused before it wrote anything: scripts hit them at their first write. */
const REFUSED = /(?:^|[\s-])(?:LOADING|READONLY|MASTERDOWN|MISCONF|NOREPLICAS|BUSY|NOAUTH|WRONGPASS|CLUSTERDOWN) /

/** Whether the server itself has answered with this error. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && REPLY.test(error.message)
}

/** Whether the server does not have a script any more, so that nothing was run. */
export function isNoScript(error: unknown): boolean {
  return isReply(error) && error.message.startsWith('NOSCRIPT')
}

/** Whether this user of the server may not do this. */
export function isDenied(error: unknown): boolean {
  // Managed services rename CONFIG, or remove it.
  return isReply(error) && /^(?:NOPERM |ERR unknown command)/i.test(error.message)
}

/** What a script says instead of the answer of an item that has failed alone. */
export function failureOf(answer: unknown): GatewayError | undefined {
  const isText = typeof answer === 'string' || Buffer.isBuffer(answer)
  return isText ? toStoreError(new Error(`ERR ${answer}`)) : undefined
}

/** Whether a batch has failed, before it was sent, for what one of its items holds. */
export function isDataError(error: unknown): boolean {
  return !isGatewayError(error) || error.code === 'ERR_INVALID_INPUT'
}

/** What a failed command means to the user of the store: not done, or unknown. */
export function toStoreError(error: unknown): GatewayError {
  if (isGatewayError(error)) return error
  const text = error instanceof Error ? error.message : String(error)
  if (text.includes('OOM command not allowed')) {
    const message = 'Redis has reached its maxmemory.'
    return new GatewayError('ERR_STORE_FULL', message, { cause: error, outcome: 'not-accepted' })
  }
  if (isReply(error) && text.includes('WRONGTYPE ')) {
    const message = `There is something else in Redis where this belongs: ${text}`
    return new GatewayError('ERR_INVALID_INPUT', message, { cause: error })
  }
  const outcome = isReply(error) && REFUSED.test(text) ? 'not-accepted' : 'unknown'
  const { title } = ERRORS.ERR_STORE_UNAVAILABLE
  return new GatewayError('ERR_STORE_UNAVAILABLE', `${title}: ${text}`, { cause: error, outcome })
}
