import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError } from '../../core/errors.js'

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
  subscribe(channel: string, onMessage: (text: string) => void): Promise<(() => void) | undefined>
}

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
 * @throws GatewayError ERR_STORE_UNAVAILABLE when there is none in time, with what the client says about it.
 */
export async function connect(connection: RedisConnection, timeoutMs: number): Promise<boolean> {
  const { isOurs, connected } = connection.open()
  let failure: { readonly error: unknown } | undefined
  connected.catch((error: unknown) => {
    failure = { error }
  })
  if (await becomesReady(connection, timeoutMs, () => failure !== undefined)) return isOurs
  if (isOurs) connection.close()
  // Some clients only say here that it was closed, and elsewhere why.
  const cause = connection.lastError ?? failure?.error
  const why = cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : ` within ${timeoutMs} ms`
  throw new GatewayError('ERR_STORE_UNAVAILABLE', `client: Redis cannot be reached${why}.`, {
    cause,
    outcome: 'not-accepted',
  })
}
