import { GatewayError, isGatewayError } from '../../core/errors.js'
import { codeOf } from './client.js'

/** The error of a start that cannot succeed, in one sentence that names what to change. */
export function explainStart(error: unknown): GatewayError {
  const cause = isGatewayError(error) ? (error.cause ?? error) : error
  if (isGatewayError(cause)) return cause
  const text = describe(cause)
  const config = (why: string) =>
    new GatewayError('ERR_CONFIG', `postgres: ${why}: ${text} (option client).`, { cause })
  const code = codeOf(cause)
  if (/^28/.test(code) || /\bSASL\b|password must be a string/.test(text))
    return config('PostgreSQL refuses the user name or the password')
  if (code === '3D000') return config('there is no such database')
  if (code === '42501') return config('the user lacks a right')
  if (/\bSSL\b|\bTLS\b|certificate|self.signed/i.test(text)) return config('TLS with PostgreSQL fails')
  const details = { cause, outcome: 'not-accepted' } as const
  const message = `postgres: PostgreSQL cannot be used: ${text} (option client).`
  return new GatewayError(isGatewayError(error) ? error.code : 'ERR_STORE_UNAVAILABLE', message, details)
}

function describe(error: unknown): string {
  // Node tries IPv6 and IPv4, and then says nothing in the text of the whole.
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ')
  return (error instanceof Error ? error.message : String(error)).replace(/\.+$/, '')
}
