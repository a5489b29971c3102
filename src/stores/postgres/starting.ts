import { GatewayError, isGatewayError } from '../../core/errors.js'
import { codeOf } from './client.js'

/** What Node says of TLS, by its codes. */
const TLS_CODE = /^ERR_(?:O?SSL|TLS)_|^EPROTO$|CERT|^UNABLE_TO_VERIFY|^HOSTNAME_MISMATCH$|^INVALID_CA$/
/** What `pg` says without a code. Each from its beginning, as a text may name hosts further on. */
const TLS_TEXT = /^(?:The server does not support SSL|There was an error establishing an SSL)/
const LOGIN_TEXT = /^(?:SASL\b|password must be a string|client password must be a string)/

/** The error of a start that cannot succeed, in one sentence that names what to change. */
export function explainStart(error: unknown): GatewayError {
  const cause = isGatewayError(error) ? (error.cause ?? error) : error
  if (isGatewayError(cause)) return cause
  const text = describe(cause)
  const config = (why: string) =>
    new GatewayError('ERR_CONFIG', `postgres: ${why}: ${text} (option client).`, { cause })
  const code = codeOf(cause)
  if (/^28...$/.test(code) || (code === '' && LOGIN_TEXT.test(text)))
    return config('PostgreSQL refuses the user name or the password')
  if (code === '3D000') return config('there is no such database')
  if (code === '42501') return config('the user lacks a right')
  if (TLS_CODE.test(code) || (code === '' && TLS_TEXT.test(text))) return config('TLS with PostgreSQL fails')
  const details = { cause, outcome: 'not-accepted' } as const
  const message = `postgres: PostgreSQL cannot be used: ${text} (option client).`
  return new GatewayError(isGatewayError(error) ? error.code : 'ERR_STORE_UNAVAILABLE', message, details)
}

function describe(error: unknown): string {
  // Node tries IPv6 and IPv4, and then says nothing in the text of the whole.
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ')
  return (error instanceof Error ? error.message : String(error)).replace(/\.+$/, '')
}
