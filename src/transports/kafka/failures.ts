import { GatewayError, isGatewayError } from '../../core/errors.js'
import type { OptionNames } from './client.js'

const SASL = /SASL|authentication|credentials/i
const TLS = /ERR_(?:TLS|SSL)_|\bTLS\b|\bSSL\b|certificate|self.signed|wrong version number|EPROTO|altname/i
const DENIED = /authoriz|not authorised/i
/** Codes of a connection that has not come about: their texts say nothing else, but for the host. */
const AWAY = 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH'
const IS_AWAY = new RegExp(`^(?:${AWAY})$`)
/** What may be called anything: `ssl.example.com`, `authentication:9092`. */
const HOSTS = new RegExp(`(?:${AWAY}) \\S+|[\\w.-]+:\\d+\\b|[\\w-]+(?:\\.[\\w-]+)+`, 'g')

/** The error of a start that cannot succeed, in one sentence that names the option to change. */
export function explainStart(cause: unknown, { brokers, tls, sasl }: OptionNames): GatewayError {
  if (isGatewayError(cause)) return cause
  const leaves = leavesOf(cause)
  const text = describe(leaves)
  const reasons = leaves.map(reasonIn).join('; ')
  const config = (why: string, option: string) =>
    new GatewayError('ERR_CONFIG', `${why}: ${text} (option ${option}).`, { cause })
  if (SASL.test(reasons)) return config('Kafka does not take the credentials, or the way they are sent', sasl)
  if (TLS.test(reasons)) return config('TLS with Kafka fails', tls)
  if (DENIED.test(reasons)) return config('Kafka denies this to the user', sasl)
  const hint = `option ${brokers}; a broker that expects TLS or credentials may look like this, too: ${tls}, ${sasl}`
  const details = { cause, outcome: 'not-accepted' } as const
  return new GatewayError('ERR_TRANSPORT_UNAVAILABLE', `No Kafka broker can be reached: ${text} (${hint}).`, details)
}

/** What the innermost errors say, each once: clients wrap what has failed in what they have tried. */
function describe(leaves: readonly unknown[]): string {
  return [...new Set(leaves.map(messageOf))].join('; ').replace(/\.+$/, '')
}

/** The code of an error and its text without the hosts in it; nothing for a broker that is not there. */
function reasonIn(leaf: unknown): string {
  const code = leaf instanceof Error && 'code' in leaf ? String(leaf.code) : ''
  return IS_AWAY.test(code) ? '' : `${code} ${messageOf(leaf).replace(HOSTS, '')}`
}

function messageOf(leaf: unknown): string {
  return leaf instanceof Error ? leaf.message : String(leaf)
}

function leavesOf(error: unknown): unknown[] {
  if (!(error instanceof Error)) return [error]
  const inner = 'errors' in error && Array.isArray(error.errors) ? error.errors : []
  const causes = inner.length > 0 ? inner : error.cause === undefined ? [] : [error.cause]
  return causes.length > 0 ? causes.flatMap(leavesOf) : [error]
}
