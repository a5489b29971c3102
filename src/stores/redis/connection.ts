import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError } from '../../core/errors.js'
import { isReply } from './errors.js'

/** A part of a command. */
export type Argument = string | Buffer

/** How a command is sent. */
export interface SendOptions {
  /** Texts in the reply are given as buffers, for those that are none. */
  readonly asBytes?: boolean
  /** May be carried out twice without harm, so it is sent again when the connection breaks under it. */
  readonly isRepeatable?: boolean
}

/** What the store needs of a client, whichever it is. */
export interface RedisConnection {
  /** False while there is no connection: what is sent now would wait for one. */
  readonly isReady: boolean
  /** The last trouble that the client has reported. */
  readonly lastError: unknown
  sendCommand(args: readonly Argument[], options?: SendOptions): Promise<unknown>
  /** Connects a client that was given unconnected, and tells whether it was. */
  open(): { readonly isOurs: boolean; readonly connected: Promise<unknown> }
  /** Ends a connection of ours. */
  close(): void
  /** Listens to a channel on a connection of its own, which the client restores by itself; nothing where it has none. */
  subscribe(channel: string, options: SubscribeOptions): Promise<(() => void) | undefined>
}

/** How a channel is listened to. */
export interface SubscribeOptions {
  readonly timeoutMs: number
  onMessage(text: string): void
  /** Told each time the connection has been lost and listens again. */
  onGap(): void
}

const AUTH = /^(?:WRONGPASS|NOAUTH|ERR (?:invalid password|AUTH|Client sent AUTH))/i

/** Where nobody answers at all, TLS has nothing to do with it. */
const NO_SERVER = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'])
const TLS_HINT = '; a server without TLS looks like this to a client that uses it (rediss:), and the other way round'

/** How often to look whether a connection is there. */
const LOOK_EVERY_MS = 10

/** Whether a connection is there within some time; `isOver` ends the waiting early. */
export async function becomesReady(
  client: { readonly isReady: boolean },
  withinMs: number,
  isOver: () => boolean = () => false,
): Promise<boolean> {
  const end = performance.now() + withinMs
  while (!client.isReady && !isOver() && performance.now() < end) await sleep(LOOK_EVERY_MS)
  return client.isReady
}

/**
 * Waits for the connection, and makes it where the client was given unconnected; tells whether it is then ours to end.
 * @throws GatewayError ERR_CONFIG when the server refuses this client, ERR_STORE_UNAVAILABLE when there is no connection
 * in time; both with what the client says about it.
 */
export async function connect(connection: RedisConnection, timeoutMs: number): Promise<boolean> {
  const { isOurs, connected } = connection.open()
  let failure: { readonly error: unknown } | undefined
  connected.catch((error: unknown) => {
    failure = { error }
  })
  // What the server has refused it refuses again, however often a client tries.
  const isOver = () => failure !== undefined || isReply(connection.lastError)
  if (await becomesReady(connection, timeoutMs, isOver)) return isOurs
  if (isOurs) connection.close()
  // Some clients only say here that it was closed, and elsewhere why.
  throw explain(connection.lastError ?? failure?.error, timeoutMs)
}

/** ioredis says of a database that is not there, and then goes on in another one. */
export function refuseDatabase({ lastError }: RedisConnection): void {
  if (isReply(lastError) && lastError.message.includes('DB index')) throw explain(lastError, 0)
}

/** What a client says of a connection that has not come about, with the option. */
export function explain(cause: unknown, timeoutMs: number, trouble = 'Redis cannot be reached'): GatewayError {
  const why =
    cause instanceof Error && cause.message !== '' ? `: ${withoutDot(cause.message)}` : ` within ${timeoutMs} ms`
  const details = { cause, outcome: 'not-accepted' } as const
  if (isReply(cause) && !/^LOADING /.test(cause.message)) {
    const what = AUTH.test(cause.message) ? 'the user name or the password' : 'the connection'
    return new GatewayError('ERR_CONFIG', `client: Redis refuses ${what}${why} (option client).`, details)
  }
  const text = `client: ${trouble}${why}${isNoServer(cause) ? '' : TLS_HINT} (option client).`
  return new GatewayError('ERR_STORE_UNAVAILABLE', text, details)
}

/** By the code, as the text may name a host. */
function isNoServer(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && NO_SERVER.has(String(cause.code))
}

function withoutDot(text: string): string {
  return text.replace(/\.+$/, '')
}
