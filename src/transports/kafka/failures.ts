import { GatewayError, isGatewayError } from '../../core/errors.js'
import type { OptionNames } from './client.js'

const SASL = /SASL|authentication|credentials/i
const TLS = /\bTLS\b|\bSSL\b|certificate|self.signed|wrong version number|EPROTO|altname/i
const DENIED = /authoriz|not authorised/i

/** The error of a start that cannot succeed, in one sentence that names the option to change. */
export function explainStart(cause: unknown, { brokers, tls, sasl }: OptionNames): GatewayError {
  if (isGatewayError(cause)) return cause
  const text = describe(cause)
  const config = (why: string, option: string) =>
    new GatewayError('ERR_CONFIG', `${why}: ${text} (option ${option}).`, { cause })
  if (SASL.test(text)) return config('Kafka does not take the credentials, or the way they are sent', sasl)
  if (TLS.test(text)) return config('TLS with Kafka fails', tls)
  if (DENIED.test(text)) return config('Kafka denies this to the user', sasl)
  const hint = `option ${brokers}; a broker that expects TLS or credentials may look like this, too: ${tls}, ${sasl}`
  const details = { cause, outcome: 'not-accepted' } as const
  return new GatewayError('ERR_TRANSPORT_UNAVAILABLE', `No Kafka broker can be reached: ${text} (${hint}).`, details)
}

/** What the innermost errors say, each once: clients wrap what has failed in what they have tried. */
function describe(error: unknown): string {
  return [...new Set(leavesOf(error))].join('; ').replace(/\.+$/, '')
}

function leavesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)]
  const inner = 'errors' in error && Array.isArray(error.errors) ? error.errors : []
  const causes = inner.length > 0 ? inner : error.cause === undefined ? [] : [error.cause]
  return causes.length > 0 ? causes.flatMap(leavesOf) : [error.message]
}
