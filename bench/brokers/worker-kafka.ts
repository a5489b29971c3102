import { Coalescer, type Outgoing } from './coalescer.js'
import { createConsumer, createProducer, type Incoming } from './kafka-clients.js'
import { namesOf } from './names.js'
import { CREATED, type NewUser, type User, type WorkerSpec } from './spec.js'

const COMMIT_MS = 1000

/** A plain worker on Kafka for all gateways that publish events, and for the callers of NestJS. */
export async function startWorker({ address, prefix, events, nest }: WorkerSpec): Promise<() => Promise<void>> {
  const producer = createProducer(address, prefix)
  const coalescer = new Coalescer(producer)
  const consumer = createConsumer(address, `${prefix}.worker`)
  const called = new Set(nest.map((one) => namesOf(one).calls))
  const topics = [...events.map((one) => namesOf(one).requests), ...called]
  const mode = { mode: 'committed', fallbackMode: 'earliest' } as const
  const stream = await consumer.consume({ topics, ...mode, autocommit: COMMIT_MS })
  stream.on('data', (request: Incoming) => {
    void coalescer.send(called.has(request.topic) ? toReply(request) : toEvent(request))
  })
  return async () => {
    await consumer.close(true)
    await producer.close()
  }
}

function toEvent({ headers, value }: Incoming): Outgoing {
  const id = headers.get('ce_correlationid') ?? ''
  const named = { ce_type: CREATED, ce_correlationid: id, ce_id: `result-${id}` }
  return { topic: headers.get('ce_replyto') ?? '', value: userOf(id, value), headers: named }
}

/** What the client of NestJS understands: an answer in the partition that it asked for, and the word that it is all. */
function toReply({ headers, value }: Incoming): Outgoing {
  const id = headers.get('kafka_correlationId') ?? ''
  const named = { kafka_correlationId: id, 'kafka_nest-is-disposed': '1' }
  const partition = Number(headers.get('kafka_replyPartition'))
  return { topic: headers.get('kafka_replyTopic') ?? '', partition, value: userOf(id, value), headers: named }
}

function userOf(id: string, value: Buffer): Buffer {
  const { username } = JSON.parse(value.toString()) as NewUser
  return Buffer.from(JSON.stringify({ id, username } satisfies User))
}
