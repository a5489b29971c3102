import type { Consumer } from '@platformatic/kafka'
import type { IncomingRecord } from '../../profiles/kafka-wire.js'
import { type PartitionId, partitionId, partsOf, type ReadRequest } from '../client.js'
import { type Batch, committedOf } from './committed.js'
import { isApiError } from './errors.js'

type FetchOptions = Parameters<Consumer['fetch']>[0]
type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>
type Leaders = Map<number, Map<string, PartitionId[]>>

/**
 * What is written as READ_COMMITTED, so that the broker tells which transactions were aborted, and is another value to
 * the client: its own filter knows one of them for each producer, and only those whose end is in the same fetch.
 */
const UNFILTERED = true as never
const APPEND_TIME = 1 << 3
const OUT_OF_RANGE = 1
const MAX_WAIT_MS = 500
const PARTITION_BYTES = 2 ** 20
const RETRY_MS = 200

/**
 * Reads partitions by fetch requests of its own, one at a time to each broker. The client's stream would end with the
 * first error, and could neither pause a single partition nor say where the records of a batch end.
 */
export class Fetcher {
  readonly #consumer: Consumer
  readonly #request: Pick<ReadRequest, 'topics' | 'received' | 'lost' | 'failed'>
  readonly #positions = new Map<PartitionId, bigint>()
  readonly #paused = new Set<PartitionId>()
  /** Brokers that a request is under way to. */
  readonly #asked = new Set<number>()
  #isLooking = false
  /** False when there was a call of `#look` that has done nothing. */
  #isLooked = true
  #isClosed = false
  #isFailing = false

  constructor(consumer: Consumer, request: Pick<ReadRequest, 'topics' | 'received' | 'lost' | 'failed'>) {
    this.#consumer = consumer
    this.#request = request
    consumer.topics.trackAll(...request.topics)
  }

  /** Reads these partitions and no others; those with a start are new, or are read again from there. */
  assign(partitions: readonly PartitionId[], starts: ReadonlyMap<PartitionId, bigint>): void {
    for (const id of this.#positions.keys()) if (!partitions.includes(id)) this.#positions.delete(id)
    for (const id of this.#paused) if (!this.#positions.has(id)) this.#paused.delete(id)
    for (const [id, start] of starts) if (partitions.includes(id)) this.#positions.set(id, start)
    void this.#look()
  }

  pause(id: PartitionId): void {
    this.#paused.add(id)
  }

  resume(id: PartitionId): void {
    this.#paused.delete(id)
    void this.#look()
  }

  close(): void {
    this.#isClosed = true
  }

  /** Asks every broker that has something to read and is not asked already. */
  async #look(): Promise<void> {
    this.#isLooked = false
    if (this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    this.#isLooked = true
    try {
      const { leaders, ids } = await this.#leaders()
      for (const [node, topics] of leaders) if (!this.#asked.has(node)) void this.#fetch(node, topics, ids)
    } catch (error) {
      this.#retry(error)
    } finally {
      this.#isLooking = false
      // Something has changed while the leaders were looked up.
      if (!this.#isLooked) void this.#look()
    }
  }

  async #leaders(): Promise<{ readonly leaders: Leaders; readonly ids: Map<string, string> }> {
    const { topics } = await this.#consumer.metadata({ topics: [...this.#request.topics] })
    const leaders: Leaders = new Map()
    const ids = new Map<string, string>()
    for (const id of this.#positions.keys()) {
      const { topic, partition } = partsOf(id)
      const facts = topics.get(topic)
      const leader = facts?.partitions[partition]?.leader
      if (facts === undefined || leader === undefined || this.#paused.has(id)) continue
      ids.set(facts.id, topic)
      const ofLeader = leaders.get(leader) ?? new Map<string, PartitionId[]>()
      leaders.set(leader, ofLeader.set(facts.id, [...(ofLeader.get(facts.id) ?? []), id]))
    }
    return { leaders, ids }
  }

  async #fetch(node: number, wanted: ReadonlyMap<string, readonly PartitionId[]>, topics: ReadonlyMap<string, string>) {
    this.#asked.add(node)
    const from = new Map(this.#positions)
    try {
      const asked = { node, maxWaitTime: MAX_WAIT_MS, isolationLevel: UNFILTERED, topics: toTopics(wanted, from) }
      const response = await this.#consumer.fetch(asked)
      this.#isFailing = false
      this.#take(response, topics, from)
    } catch (error) {
      this.#asked.delete(node)
      if (isApiError(error, 'OFFSET_OUT_OF_RANGE')) await this.#skip(error as Error, topics, from).catch(() => {})
      this.#retry(error)
      return
    }
    this.#asked.delete(node)
    void this.#look()
  }

  #take(response: FetchResponse, topics: ReadonlyMap<string, string>, from: ReadonlyMap<PartitionId, bigint>): void {
    for (const { topicId, partitions } of response.responses) {
      for (const partition of partitions) {
        const id = partitionId(topics.get(topicId) ?? '', partition.partitionIndex)
        const start = from.get(id)
        const last = partition.records?.at(-1)
        // Meanwhile it may have moved to another reader, or be read from somewhere else.
        if (start === undefined || last === undefined || this.#positions.get(id) !== start || this.#isClosed) continue
        const next = last.firstOffset + BigInt(last.lastOffsetDelta) + 1n
        this.#positions.set(id, next)
        this.#request.received(id, recordsOf(committedOf(partition), id, start), next)
      }
    }
  }

  /** Goes on with the oldest record where retention has deleted those that were wanted. */
  async #skip(error: Error, topics: ReadonlyMap<string, string>, from: ReadonlyMap<PartitionId, bigint>) {
    const { response } = error as Error & { readonly response?: FetchResponse }
    const oldest = await this.#consumer.listOffsets({ topics: [...this.#request.topics], timestamp: -2n })
    for (const { topicId, partitions } of response?.responses ?? []) {
      for (const { partitionIndex, errorCode } of partitions) {
        const topic = topics.get(topicId) ?? ''
        const id = partitionId(topic, partitionIndex)
        const [start, to] = [from.get(id), oldest.get(topic)?.[partitionIndex]]
        if (errorCode !== OUT_OF_RANGE || start === undefined || to === undefined) continue
        if (this.#positions.get(id) === start) this.#positions.set(id, to)
        if (to !== start) this.#request.lost(id, start, to)
      }
    }
  }

  #retry(error: unknown): void {
    if (this.#isClosed) return
    this.#consumer.clearMetadata()
    if (!this.#isFailing) this.#request.failed(error)
    this.#isFailing = true
    setTimeout(() => void this.#look(), RETRY_MS)
  }
}

function toTopics(
  wanted: ReadonlyMap<string, readonly PartitionId[]>,
  from: ReadonlyMap<PartitionId, bigint>,
): FetchOptions['topics'] {
  const unknown = { currentLeaderEpoch: -1, lastFetchedEpoch: -1, partitionMaxBytes: PARTITION_BYTES }
  return [...wanted].map(([topicId, ids]) => ({
    topicId,
    partitions: ids.map((id) => ({ ...unknown, partition: partsOf(id).partition, fetchOffset: from.get(id) ?? 0n })),
  }))
}

/**
 * The records from an offset on: brokers give whole batches, also when only their end was asked for. One after the other,
 * as all of a batch at once would outlive the young generation.
 */
function* recordsOf(batches: readonly Batch[], id: PartitionId, start: bigint): Iterable<IncomingRecord> {
  const { topic, partition } = partsOf(id)
  for (const { attributes, firstOffset, firstTimestamp, maxTimestamp, records } of batches) {
    // With the brokers' time the batch has one for all; what its records say is what their producer thought.
    const hasAppendTime = (attributes & APPEND_TIME) !== 0
    for (const { offsetDelta, timestampDelta, key, value, headers } of records) {
      const offset = firstOffset + BigInt(offsetDelta)
      if (offset < start) continue
      const timestamp = Number(hasAppendTime ? maxTimestamp : firstTimestamp + timestampDelta)
      const named = headers.map(([name, bytes]) => [name?.toString('utf8') ?? '', bytes] as const)
      yield { topic, partition, offset, timestamp, key, value, headers: named }
    }
  }
}
