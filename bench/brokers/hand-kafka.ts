import type { Consumer } from '@platformatic/kafka'
import type { Store } from 'respond-async'
import { monotonicFactory } from 'ulid'
import { Coalescer } from './coalescer.js'
import { createConsumer, createProducer, type Incoming, inBatches } from './kafka-clients.js'
import { eventOf, Keeper } from './keeper.js'
import { namesOf } from './names.js'
import { CREATED, PATIENCE_MS, REQUESTED, type Spec, type Subject, type User } from './spec.js'
import { Waiting } from './waiting.js'

/**
 * The gateway that a good engineer writes on Kafka: requests that come together leave in one produce call, with
 * acks=all and five of them under way; results by a group of its own, and with a store by a shared one beside it.
 */
export async function createHandWritten({ address, prefix }: Spec, store: Store | undefined): Promise<Subject> {
  const { requests, results, recorder } = namesOf(prefix)
  const createId = monotonicFactory()
  const producer = createProducer(address, prefix)
  const coalescer = new Coalescer(producer)
  const waiting = new Waiting<User>()
  const keeper = store && new Keeper(store)
  await store?.start()
  const own = createConsumer(address, `${prefix}-own-${createId()}`)
  const consumers = [own]
  await readOwn(own, results, { waiting, keeper })
  if (keeper !== undefined) {
    const shared = createConsumer(address, recorder)
    consumers.push(shared)
    await readShared(shared, results, keeper)
  }
  return {
    async ask(user) {
      const id = createId()
      const value = Buffer.from(JSON.stringify(user))
      await keeper?.begin(eventOf(REQUESTED, id, value))
      const answer = waiting.for(id, PATIENCE_MS)
      const headers = { ce_type: REQUESTED, ce_correlationid: id, ce_replyto: results }
      coalescer.send({ topic: requests, value, headers }).catch((error) => waiting.reject(id, error))
      return answer
    },
    async close() {
      for (const consumer of consumers) await consumer.close(true)
      await producer.close()
      await store?.close()
    },
  }
}

type Reader = Consumer<Buffer, Buffer, string, string>

interface Parts {
  readonly waiting: Waiting<User>
  readonly keeper: Keeper | undefined
}

/** A copy of all results from now on; nothing is committed. */
async function readOwn(consumer: Reader, topic: string, { waiting, keeper }: Parts): Promise<void> {
  const stream = await consumer.consume({ topics: [topic], mode: 'latest', autocommit: false })
  stream.on('data', ({ headers, value }: Incoming) => {
    const id = headers.get('ce_correlationid') ?? ''
    if (!waiting.has(id)) return
    const answer = (): void => waiting.resolve(id, JSON.parse(value.toString()))
    const fail = (error: unknown): void => waiting.reject(id, error)
    if (keeper === undefined) answer()
    else void keeper.end(id, eventOf(CREATED, id, value)).then(answer, fail)
  })
}

/** The copy that all instances share, committed once it is in the store. */
async function readShared(consumer: Reader, topic: string, keeper: Keeper): Promise<void> {
  const mode = { mode: 'committed', fallbackMode: 'latest' } as const
  const stream = await consumer.consume({ topics: [topic], ...mode, autocommit: false })
  const record = inBatches(async (batch) => {
    const ends = new Map<number, bigint>()
    const endings = batch.map(({ headers, value, partition, offset }) => {
      ends.set(partition, offset + 1n)
      const id = headers.get('ce_correlationid') ?? ''
      return keeper.end(id, eventOf(CREATED, id, value))
    })
    await Promise.all(endings)
    const offsets = [...ends].map(([partition, offset]) => ({ topic, partition, offset, leaderEpoch: -1 }))
    await consumer.commit({ offsets })
  })
  stream.on('data', record)
}
