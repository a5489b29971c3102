import amqplib, { type ChannelModel, type ConsumeMessage } from 'amqplib'
import { Acks } from './acks.js'
import { namesOf } from './names.js'
import { CREATED, type NewUser, REQUESTED, type User, type WorkerSpec } from './spec.js'

const PREFETCH = 2048
const SUFFIX = '.requests'

/** A plain worker on RabbitMQ for all gateways that publish events, and for the callers, each in its own envelope. */
export async function startWorker({ address, prefix, events, nest, rpc }: WorkerSpec): Promise<() => Promise<void>> {
  const connection = await amqplib.connect(address, { noDelay: true })
  await readEvents(connection, `${prefix}.worker`, events)
  const toNest = ({ data, id }: { data: NewUser; id: string }) => ({ response: create(id, data), isDisposed: true, id })
  // As the servers of the two do by default.
  await readCalls(connection, nest, { answer: toNest, noAck: true })
  await readCalls(connection, rpc, { answer: (user: NewUser, id) => create(id, user), noAck: false })
  return () => connection.close()
}

function create(id: string, { username }: NewUser): User {
  return { id, username }
}

/** Answers each event by another one, confirmed before the request is acknowledged. */
async function readEvents(connection: ChannelModel, queue: string, prefixes: readonly string[]): Promise<void> {
  const channel = await connection.createConfirmChannel()
  await channel.assertQueue(queue, { durable: true })
  for (const prefix of prefixes) {
    const { requests, results } = namesOf(prefix)
    await channel.assertExchange(requests, 'topic', { durable: true })
    await channel.assertExchange(results, 'topic', { durable: true })
    await channel.bindQueue(queue, requests, REQUESTED)
  }
  await channel.prefetch(PREFETCH)
  const acks = new Acks(channel)
  const fixed = { type: CREATED, contentType: 'application/json', deliveryMode: 2 }
  const answer = (message: ConsumeMessage): void => {
    const done = acks.take(message)
    const { correlationId, replyTo } = message.properties
    const body = Buffer.from(JSON.stringify(create(correlationId, JSON.parse(message.content.toString()))))
    const exchange = message.fields.exchange.slice(0, -SUFFIX.length)
    const options = { ...fixed, correlationId, messageId: `result-${correlationId}` }
    channel.publish(`${exchange}.results`, `${replyTo}.${CREATED}`, body, options, (error) => {
      if (!error) done()
    })
  }
  await channel.consume(queue, (message) => message && answer(message))
}

interface Calls<Call> {
  answer(call: Call, id: string): unknown
  readonly noAck: boolean
}

/** Answers calls to their `reply_to`. */
async function readCalls<Call>(
  connection: ChannelModel,
  prefixes: readonly string[],
  { answer, noAck }: Calls<Call>,
): Promise<void> {
  const channel = await connection.createChannel()
  const acks = new Acks(channel)
  await channel.prefetch(PREFETCH)
  const reply = (message: ConsumeMessage): void => {
    const done = noAck ? undefined : acks.take(message)
    const { correlationId, replyTo } = message.properties
    const body = Buffer.from(JSON.stringify(answer(JSON.parse(message.content.toString()), correlationId)))
    channel.sendToQueue(replyTo, body, { correlationId, contentType: 'application/json' })
    done?.()
  }
  for (const prefix of prefixes) {
    const { calls } = namesOf(prefix)
    await channel.assertQueue(calls, { durable: true })
    await channel.consume(calls, (message) => message && reply(message), { noAck })
  }
}
