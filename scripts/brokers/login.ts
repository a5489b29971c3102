import amqplib from 'amqplib'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Kind } from './kinds.js'

const LOGIN_MS = 5000

const LOGINS: Readonly<Record<Kind, (address: string) => Promise<void>>> = {
  async amqp(address) {
    const connection = await amqplib.connect(address, { timeout: LOGIN_MS })
    connection.on('error', () => {})
    await connection.close()
  },
  async redis(address) {
    const options = { lazyConnect: true, enableReadyCheck: false, disableClientInfo: true, connectTimeout: LOGIN_MS }
    const client = new Redis(address, { ...options, commandTimeout: LOGIN_MS, retryStrategy: () => null })
    // The calls below only reject because the connection is closed then.
    let cause: unknown
    client.on('error', (error) => (cause ??= error))
    try {
      await client.connect()
      await client.ping()
    } catch (error) {
      throw cause ?? error
    } finally {
      client.disconnect()
    }
  },
  async postgres(address) {
    const client = new pg.Client({ connectionString: address, connectionTimeoutMillis: LOGIN_MS })
    client.on('error', () => {})
    await client.connect()
    await client.end()
  },
  // Its addresses hold no login.
  async kafka() {},
}

/** Why a server that is there does not let in who comes with this address; undefined when it does. Never rejects. */
export async function whyNoLogin(kind: Kind, address: string): Promise<string | undefined> {
  try {
    await LOGINS[kind](address)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
