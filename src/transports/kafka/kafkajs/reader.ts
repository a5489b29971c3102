import type { Header, IncomingRecord } from '../../profiles/kafka-wire.js'
import {
  type Assignment,
  type ClientReader,
  type PartitionId,
  partitionId,
  partsOf,
  type ReadRequest,
} from '../client.js'
import { answered } from '../waiting.js'
import { stickyAssigner } from './assigner.js'
import { committedOf } from './committed.js'
import type { KafkajsAdmin, KafkajsBatch, KafkajsClient, KafkajsConsumer } from './types.js'

const MAX_WAIT_MS = 500
const RETRY_MS = 500
const HEARTBEAT_MS = 1000
const COMMIT_MS = 5000

/** What a reader is made of. */
export interface KafkajsReaderParts {
  readonly kafka: KafkajsClient
  readonly admin: KafkajsAdmin
  readonly request: ReadRequest
  readonly group: string
  readonly sessionTimeoutMs: number
}

/**
 * A consumer of kafkajs, which is always in a group. After every join it would read from the committed offsets, so it
 * is sent to where this reader is, and new partitions stand still until their start is known.
 */
export class KafkajsReader implements ClientReader {
  readonly #parts: KafkajsReaderParts
  readonly #consumer: KafkajsConsumer
  /** The next offset of each partition that is being read. */
  readonly #next = new Map<PartitionId, bigint>()
  readonly #held = new Set<PartitionId>()
  #joins = 0
  #isOpen = false
  #isClosed = false
  #handing: Promise<void> = Promise.resolve()

  constructor(parts: KafkajsReaderParts) {
    const { kafka, request, group, sessionTimeoutMs } = parts
    this.#parts = parts
    this.#consumer = kafka.consumer({
      groupId: group,
      partitionAssigners: [stickyAssigner(() => request.owned())],
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs * 2,
      heartbeatInterval: Math.min(HEARTBEAT_MS, Math.floor(sessionTimeoutMs / 3)),
      maxWaitTimeInMs: MAX_WAIT_MS,
      // How soon new partitions are seen.
      metadataMaxAge: 30_000,
      allowAutoTopicCreation: false,
      readUncommitted: false,
      // About a minute: after that it starts anew, as another member, and waits until the session of the first has ended.
      retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 },
    })
  }

  /** Resolves when the first assignment has been taken up. */
  async open(): Promise<this> {
    const { topics } = this.#parts.request
    const positioned = this.#positioned()
    await this.#consumer.connect()
    // Only where retention has deleted what was wanted: then on with the oldest.
    await this.#consumer.subscribe({ topics: [...topics], fromBeginning: true })
    await this.#consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 16,
      eachBatch: ({ batch }) => this.#take(batch),
    })
    await positioned
    this.#isOpen = true
    return this
  }

  pause(id: PartitionId): void {
    this.#held.add(id)
    this.#consumer.pause([toPartitions(id)])
  }

  resume(id: PartitionId): void {
    this.#held.delete(id)
    if (this.#next.has(id)) this.#consumer.resume([toPartitions(id)])
  }

  async commit(offsets: ReadonlyMap<PartitionId, bigint>): Promise<void> {
    const list = [...offsets].map(([id, offset]) => ({ ...partsOf(id), offset: `${offset}` }))
    // It goes on trying; a commit that comes later than another one costs a repetition after a restart, no more.
    await answered(this.#consumer.commitOffsets(list), COMMIT_MS)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const { admin, request, group } = this.#parts
    await this.#consumer.disconnect()
    // A group of its own is of no use to anybody else; brokers forget it anyway, only later.
    if (request.group === undefined) await admin.deleteGroups([group]).catch(() => {})
  }

  /** Listens to joins and crashes; settles with the first assignment. */
  #positioned(): Promise<void> {
    const { GROUP_JOIN, CRASH } = this.#consumer.events
    return new Promise((resolve, reject) => {
      const onJoin = ({ payload }: JoinEvent) => {
        this.#onJoin(payload)
        this.#handing.then(resolve, reject)
      }
      const onCrash = ({ payload }: CrashEvent) => {
        this.#parts.request.failed(payload.error)
        if (payload.restart) return
        reject(payload.error)
        if (this.#isOpen) this.#parts.request.died(payload.error)
      }
      this.#consumer.on(GROUP_JOIN as never, onJoin as never)
      this.#consumer.on(CRASH as never, onCrash as never)
    })
  }

  // Called before anything is fetched under the new assignment.
  #onJoin({ memberAssignment, isLeader }: JoinEvent['payload']): void {
    const ids = Object.entries(memberAssignment).flatMap(([topic, partitions]) =>
      partitions.map((partition) => partitionId(topic, partition)),
    )
    for (const id of this.#next.keys()) if (!ids.includes(id)) this.#next.delete(id)
    for (const id of this.#held) if (!ids.includes(id)) this.#held.delete(id)
    for (const id of ids) {
      const next = this.#next.get(id)
      if (next !== undefined) this.#consumer.seek({ ...partsOf(id), offset: `${next}` })
      if (next === undefined || this.#held.has(id)) this.#consumer.pause([toPartitions(id)])
    }
    this.#joins += 1
    const join = this.#joins
    this.#handing = this.#handing.then(() => this.#hand(join, ids, isLeader))
  }

  async #hand(join: number, partitions: readonly PartitionId[], isLeader: boolean): Promise<void> {
    const committed = () => this.#committed()
    const commit = (offsets: ReadonlyMap<PartitionId, bigint>) => this.commit(offsets)
    const assignment: Assignment = { partitions, isLeader, committed, commit }
    // An assignment that another one has overtaken is of no interest any more.
    while (!this.#isClosed && join === this.#joins) {
      try {
        const starts = await this.#parts.request.assigned(assignment)
        if (join === this.#joins) this.#begin(partitions, starts)
        return
      } catch (error) {
        this.#parts.request.failed(error)
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  #begin(partitions: readonly PartitionId[], starts: ReadonlyMap<PartitionId, bigint>): void {
    for (const id of partitions) {
      const start = starts.get(id) ?? this.#parts.request.nextOf(id)
      if (start === undefined || this.#next.has(id)) continue
      this.#consumer.seek({ ...partsOf(id), offset: `${start}` })
      this.#next.set(id, start)
      if (!this.#held.has(id)) this.#consumer.resume([toPartitions(id)])
    }
  }

  async #committed(): Promise<Map<PartitionId, bigint>> {
    const { admin, group, request } = this.#parts
    const found = await admin.fetchOffsets({ groupId: group, topics: [...request.topics] })
    const committed = new Map<PartitionId, bigint>()
    for (const { topic, partitions } of found) {
      for (const { partition, offset } of partitions) {
        if (BigInt(offset) >= 0n) committed.set(partitionId(topic, partition), BigInt(offset))
      }
    }
    return committed
  }

  async #take(batch: KafkajsBatch): Promise<void> {
    const id = partitionId(batch.topic, batch.partition)
    await this.#checkStart(id, batch)
    if (!this.#next.has(id) || this.#isClosed) return
    const next = BigInt(batch.lastOffset()) + 1n
    this.#next.set(id, next)
    this.#parts.request.received(id, recordsOf(batch), next)
  }

  /** Where the wanted records are gone kafkajs goes on with the oldest ones, and says nothing. */
  async #checkStart(id: PartitionId, { topic, partition, messages }: KafkajsBatch): Promise<void> {
    const wanted = this.#next.get(id)
    const first = messages[0] && BigInt(messages[0].offset)
    if (wanted === undefined || first === undefined || first === wanted) return
    const offsets = await this.#parts.admin.fetchTopicOffsets(topic)
    const oldest = offsets.find((one) => one.partition === partition)?.low
    // Records in between may also be of no interest to anybody: replaced by newer ones, or notes of the brokers.
    const isGone = oldest !== undefined && (first < wanted || BigInt(oldest) > wanted)
    if (isGone && this.#next.get(id) === wanted) this.#parts.request.lost(id, wanted, BigInt(oldest))
  }
}

interface JoinEvent {
  readonly payload: { readonly memberAssignment: Record<string, number[]>; readonly isLeader: boolean }
}

interface CrashEvent {
  readonly payload: { readonly error: Error; readonly restart: boolean }
}

function toPartitions(id: PartitionId): { topic: string; partitions: number[] } {
  const { topic, partition } = partsOf(id)
  return { topic, partitions: [partition] }
}

function recordsOf(batch: KafkajsBatch): IncomingRecord[] {
  const { topic, partition } = batch
  return committedOf(batch).map(({ offset, timestamp, key, value, headers = {} }) => ({
    topic,
    partition,
    offset: BigInt(offset),
    timestamp: Number(timestamp),
    key,
    value,
    headers: headersOf(headers),
  }))
}

/**
 * kafkajs collects headers on an object with a prototype: one called `constructor` or `__proto__` comes as a list in
 * which what was inherited stands before the value.
 */
function headersOf(headers: NonNullable<KafkajsBatch['messages'][number]['headers']>): Header[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    const values = Array.isArray(value) ? value : [value ?? null]
    return values.flatMap((one): Header[] => {
      if (typeof one === 'string') return [[name, Buffer.from(one)]]
      return one === null || one instanceof Uint8Array ? [[name, one]] : []
    })
  })
}
