import { GatewayError, isGatewayError } from '../../core/errors.js'

/** What a failing step was about, for the text of its error. */
export interface Place {
  /** The host and port, without the credentials. */
  readonly address: string
  /** The option that says where to connect. */
  readonly option: 'url' | 'connection'
}

/** Errors of sockets and look-ups before there is a connection; their texts have names of hosts in them, which say nothing. */
const NOWHERE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ECONNRESET',
  'EPIPE',
])
const UNREACHABLE = /ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ECONNRESET|EPIPE/
const TLS =
  /self.signed|unable to (verify|get)|ALTNAME|altnames|EPROTO|wrong version number|certificate|\bSSL\b|ERR_TLS|ERR_SSL/i

/** The error of a connection that was not made, in one sentence that names the option to change. */
export function explainConnect(cause: unknown, { address, option }: Place): GatewayError {
  if (isGatewayError(cause)) return cause
  const text = describe(cause)
  const config = (why: string) => new GatewayError('ERR_CONFIG', `${why} (option ${option}).`, { cause })
  const away = (why: string) => unavailable(`${why} (option ${option}).`, cause)
  if (NOWHERE.has(socketCodeOf(cause))) return away(`RabbitMQ at ${address} cannot be reached: ${text}`)
  if (/ACCESS.REFUSED|403/.test(text) && !/vhost/.test(text))
    return config(`RabbitMQ at ${address} refuses the user name or the password`)
  // amqplib does not pass on what the server says of a virtual host that it does not open.
  if (/vhost|Expected ConnectionOpenOk; got <ConnectionClose/.test(text))
    return config(`RabbitMQ at ${address} does not open its virtual host: there is none, or not for this user`)
  if (TLS.test(text)) return config(`TLS with ${address} fails: ${text}; see also the option socket`)
  const ended = `What listens at ${address} ended the connection, as a server does that expects TLS, or no AMQP`
  if (/Invalid frame/i.test(text)) return config(ended)
  // So does a proxy while there is nothing behind it.
  if (/opening handshake/i.test(text)) return away(ended)
  const why = UNREACHABLE.test(text) ? 'cannot be reached' : 'did not let us connect'
  return away(`RabbitMQ at ${address} ${why}: ${text}`)
}

/** The error of a step on an open connection: a permission, other arguments, something that is not there. */
export function explainStep(cause: unknown, what: string): GatewayError {
  if (isGatewayError(cause)) return cause
  const text = describe(cause)
  switch (codeOf(cause)) {
    case 403:
      return config(`A permission is missing for ${what}: ${reply(text)}`, cause)
    case 404:
      return config(`${what} does not exist: ${reply(text)}`, cause)
    case 405:
      return config(`${what} is in use by another connection alone: ${reply(text)}`, cause)
    case 406:
      return config(`${what} exists with other arguments, or is used in another way: ${reply(text)}`, cause)
    case 540:
      return config(`${what} needs what this RabbitMQ does not have: ${reply(text)}`, cause)
    default:
      return unavailable(`${what} could not be prepared: ${text}`, cause)
  }
}

/** The error of a call while there is no connection. */
export function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_TRANSPORT_UNAVAILABLE', message, { cause, outcome: 'not-accepted' })
}

/** The AMQP reply code of an error of amqplib, which it shows as a number, or in its text only. */
export function codeOf(error: unknown): number | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  if (typeof code === 'number') return code
  const match = /\b(3\d\d|4\d\d|5\d\d) \([A-Z-]+\)/.exec(describe(error))
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** The limit that a body has broken, where that is why the broker has closed a channel. */
export function limitIn(error: unknown): number | undefined {
  const match = /message size \d+ is larger than (?:configured )?max size (\d+)/.exec(describe(error))
  return match?.[1] === undefined ? undefined : Number(match[1])
}

function config(message: string, cause: unknown): GatewayError {
  return new GatewayError('ERR_CONFIG', message, { cause })
}

/** What the broker itself has said, without amqplib's words around it. */
function reply(text: string): string {
  return /with message "(.*)"/s.exec(text)?.[1] ?? text
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Node tries IPv6 and IPv4, and then says nothing in the text of the whole.
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ')
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const text = error.message.replaceAll(/\s+/g, ' ').trim()
  return text.includes(code) ? text : `${text} (${code})`
}

function socketCodeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
}
