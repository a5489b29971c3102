import { GatewayError } from '../../core/errors.js'

/** What the store needs of a client: `pg.Pool` and PGlite have it. */
export interface PostgresClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** Makes a function that runs statements and gives their rows. */
export interface Database {
  query<Row>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>
}

/** The transaction was rolled back for the sake of another one, and may succeed at once. */
const TRANSIENT = new Set(['40001', '40P01'])
const RETRIES = 5

/** Certainly nothing was written: there was no connection, or the server refused to work. */
const NOT_WRITTEN = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', '25006', '53300', '57P03'])
/** What `pg` says, without a code, when its pool gives no connection in time. */
const NO_CONNECTION = /timeout exceeded when trying to connect|Cannot use a pool after calling end/

/** Class 08 (connection exception), and what a server says that is shut down, has crashed, or ends an idle session. */
const LOST = /^(?:08...|57P0[125])$/

/** A table, a column or a function is missing, or may not be used. */
const CONFIG = new Set(['42P01', '42703', '42883', '3F000', '42501', '28P01', '28000', '3D000'])

/**
 * Runs statements; those that the server rolled back against a deadlock are run again.
 * @throws GatewayError for what the server says about the data, the schema or its own state, and for a connection that
 * is away or was lost; other errors of the server, and mistakes in a client, as they are.
 */
export function createDatabase(client: PostgresClient, assertOpen = () => {}): Database {
  return {
    async query<Row>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
      assertOpen()
      for (let attempt = 1; ; attempt += 1) {
        try {
          const { rows } = await client.query(text, [...values])
          return rows as readonly Row[]
        } catch (error) {
          if (!TRANSIENT.has(codeOf(error)) || attempt > RETRIES) throw toStoreError(error)
        }
      }
    },
  }
}

/** Whether an error is about what one row holds, so that the other rows of its batch may be written without it. */
export function isDataError(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'ERR_INVALID_INPUT'
}

/** What the server said, in our words where it matters to the caller. */
function toStoreError(error: unknown): unknown {
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : String(error)
  // Classes 22 (data exception), 23 (constraint) and 54 (a value beyond a limit of the server).
  if (/^(?:22|23|54)...$/.test(code))
    return new GatewayError('ERR_INVALID_INPUT', `The database cannot store this: ${text}.`, { cause: error })
  if (CONFIG.has(code)) return new GatewayError('ERR_CONFIG', `The database does not fit: ${text}.`, { cause: error })
  if (NOT_WRITTEN.has(code) || NO_CONNECTION.test(text)) {
    const details = { cause: error, outcome: 'not-accepted' } as const
    return new GatewayError('ERR_STORE_UNAVAILABLE', `The database takes no statements: ${text}.`, details)
  }
  if (error instanceof TypeError || (isFromServer(error) && !LOST.test(code))) return error
  const details = { cause: error, outcome: 'unknown' } as const
  return new GatewayError('ERR_STORE_UNAVAILABLE', `The connection to the database is lost: ${text}.`, details)
}

/** Only what the server has sent has a severity; the rest clients and sockets say. */
function isFromServer(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error
}

/** The code of the server, or of the socket; empty where there is none. */
export function codeOf(error: unknown): string {
  // Node gives one error for all the addresses of a name, with the code of the first.
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
}

/**
 * Listens to a pool's `error`, by which it tells of idle connections that broke: without a listener the restart of a
 * server would end the process. Nothing is lost with them, as the next statement gets a new one. Returns how to stop.
 */
export function tolerateIdleErrors(client: PostgresClient): () => void {
  const emitter = client as { on?: unknown; off?: unknown }
  const ignore = () => {}
  if (typeof emitter.on !== 'function' || typeof emitter.off !== 'function') return ignore
  Reflect.apply(emitter.on, client, ['error', ignore])
  const { off } = emitter
  return () => void Reflect.apply(off, client, ['error', ignore])
}
