import { randomBytes } from 'node:crypto'
import amqplib from 'amqplib'
import type { AmqpChannel, AmqpClient, AmqpConnection } from '../../src/transports/amqp/index.js'
import { sharedServer } from './servers/server-for.js'

const server = await sharedServer('amqp')

/** Where the tests find RabbitMQ. */
export const AMQP_URL = server.address

/** Why there is no RabbitMQ to test with, or undefined. */
export async function whyNoRabbitMq(): Promise<string | undefined> {
  return server.missing
}

/** A beginning of names that no other test uses. */
export function uniquePrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`
}

/** The module amqplib, noting every queue and exchange that is declared through it. */
export class RecordingClient implements AmqpClient {
  readonly queues = new Set<string>()
  readonly exchanges = new Set<string>()
  readonly #client: AmqpClient

  constructor(client: AmqpClient = amqplib) {
    this.#client = client
  }

  async connect(url: string, options?: Readonly<Record<string, unknown>>): Promise<AmqpConnection> {
    const connection = await this.#client.connect(url, options)
    for (const method of ['createChannel', 'createConfirmChannel'] as const) {
      const create = connection[method].bind(connection)
      Object.defineProperty(connection, method, { value: async () => this.#note(await create()) })
    }
    return connection
  }

  /** Deletes what was declared. */
  async cleanUp(url = AMQP_URL): Promise<void> {
    const connection = await this.#client.connect(url)
    const channel = await connection.createChannel()
    for (const queue of this.queues) await channel.deleteQueue(queue)
    for (const exchange of this.exchanges) await (channel as unknown as Deleting).deleteExchange(exchange)
    await connection.close()
  }

  #note<Channel extends AmqpChannel>(channel: Channel): Channel {
    const { assertQueue, assertExchange } = channel
    channel.assertQueue = (name, options) => {
      this.queues.add(name)
      return assertQueue.call(channel, name, options)
    }
    channel.assertExchange = (name, type, options) => {
      this.exchanges.add(name)
      return assertExchange.call(channel, name, type, options)
    }
    return channel
  }
}

interface Deleting {
  deleteExchange(name: string): Promise<unknown>
}
