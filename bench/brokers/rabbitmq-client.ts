import { Connection } from 'rabbitmq-client'
import { namesOf } from './names.js'
import type { Spec, Subject, User } from './spec.js'

/** Shorter than that of the others, as many calls end that way. */
const PATIENCE_MS = 1000

/**
 * The client for calls of rabbitmq-client, with confirms. It takes note of a call only when it is confirmed, so a reply
 * that is there before the confirm is dropped, and its call ends with a time-out.
 */
export async function createCaller({ address, prefix }: Spec): Promise<Subject> {
  const connection = new Connection({ url: address, noDelay: true })
  await connection.onConnect()
  const { calls } = namesOf(prefix)
  const client = connection.createRPCClient({ confirm: true, timeout: PATIENCE_MS })
  return {
    async ask(user) {
      try {
        return (await client.send({ routingKey: calls, durable: true }, user)).body as User
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'RPC_TIMEOUT') return undefined
        throw error
      }
    },
    async close() {
      await client.close()
      await connection.close()
    },
  }
}
