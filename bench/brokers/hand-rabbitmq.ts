import amqplib, { type Channel, type ConsumeMessage } from 'amqplib'
import type { Store } from 'respond-async'
import { monotonicFactory } from 'ulid'
import { Acks } from './acks.js'
import { eventOf, Keeper } from './keeper.js'
import { namesOf } from './names.js'
import { CREATED, PATIENCE_MS, REQUESTED, type Spec, type Subject, type User } from './spec.js'
import { Waiting } from './waiting.js'

const PREFETCH = 1024
const EXPIRES_MS = 60_000

/**
 * The gateway that a good engineer writes on RabbitMQ with amqplib: durable topic exchanges, a durable queue of its
 * own, persistent messages, publisher confirms, manual acknowledgements; with a store also a recorder.
 */
export async function createHandWritten({ address, prefix }: Spec, store: Store | undefined): Promise<Subject> {
  const { requests } = namesOf(prefix)
  const connection = await amqplib.connect(address, { noDelay: true })
  const publishing = await connection.createConfirmChannel()
  const createId = monotonicFactory()
  const waiting = new Waiting<User>()
  const keeper = store && new Keeper(store)
  await store?.start()
  const own = `${prefix}-own-${createId()}`
  const reading = await connection.createChannel()
  await readOwn(reading, { prefix, own }, { waiting, keeper })
  if (keeper !== undefined) await readShared(await connection.createChannel(), prefix, keeper)
  const fixed = { type: REQUESTED, contentType: 'application/json', replyTo: own, deliveryMode: 2, mandatory: true }
  return {
    async ask(user) {
      const id = createId()
      const body = Buffer.from(JSON.stringify(user))
      await keeper?.begin(eventOf(REQUESTED, id, body))
      const answer = waiting.for(id, PATIENCE_MS)
      publishing.publish(requests, REQUESTED, body, { ...fixed, messageId: id, correlationId: id }, (error) => {
        if (error) waiting.reject(id, error)
      })
      return answer
    },
    async close() {
      await reading.deleteQueue(own)
      await connection.close()
      await store?.close()
    },
  }
}

interface Parts {
  readonly waiting: Waiting<User>
  readonly keeper: Keeper | undefined
}

/** Its own copy of the results that are addressed to it. */
async function readOwn(
  channel: Channel,
  { prefix, own }: { readonly prefix: string; readonly own: string },
  { waiting, keeper }: Parts,
): Promise<void> {
  const { requests, results } = namesOf(prefix)
  await channel.assertExchange(requests, 'topic', { durable: true })
  await channel.assertExchange(results, 'topic', { durable: true })
  await channel.assertQueue(own, { durable: true, arguments: { 'x-expires': EXPIRES_MS } })
  await channel.bindQueue(own, results, `${own}.#`)
  await channel.prefetch(PREFETCH)
  const acks = new Acks(channel)
  await channel.consume(own, (message) => {
    if (message === null) return
    const done = acks.take(message)
    const id = String(message.properties.correlationId)
    if (waiting.has(id)) {
      const answer = (): void => waiting.resolve(id, JSON.parse(message.content.toString()))
      const fail = (error: unknown): void => waiting.reject(id, error)
      if (keeper === undefined) answer()
      else void keeper.end(id, eventOf(CREATED, id, message.content)).then(answer, fail)
    }
    done()
  })
}

/** The copy that all instances share, acknowledged once it is in the store. */
async function readShared(channel: Channel, prefix: string, keeper: Keeper): Promise<void> {
  const { results, recorder } = namesOf(prefix)
  await channel.assertQueue(recorder, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
  await channel.bindQueue(recorder, results, `*.${CREATED}`)
  await channel.prefetch(PREFETCH)
  const acks = new Acks(channel)
  const record = async (message: ConsumeMessage): Promise<void> => {
    const done = acks.take(message)
    const id = String(message.properties.correlationId)
    await keeper.end(id, eventOf(CREATED, id, message.content))
    done()
  }
  await channel.consume(recorder, (message) => message && void record(message))
}
