import type { Consumer, GroupAssignment, GroupPartitionsAssigner } from '@platformatic/kafka'
import { decodeOwned, encodeOwned, PROTOCOL, sharePartitions } from '../assign.js'
import { type PartitionId, partitionId, partsOf, type ReadRequest } from '../client.js'

/** What a membership needs. */
export interface MembershipParts {
  readonly request: ReadRequest
  readonly group: string
  readonly sessionTimeoutMs: number
  makeConsumer(options: MemberOptions): Consumer
  /** Called for every assignment, one after the other. */
  assigned(partitions: readonly PartitionId[], isLeader: boolean): Promise<void>
}

/** What the consumer of a member is made with. */
export interface MemberOptions {
  readonly groupId: string
  readonly sessionTimeout: number
  readonly rebalanceTimeout: number
  readonly heartbeatInterval: number
  readonly requestTimeout: number
  readonly protocols: { readonly name: string; readonly version: number; readonly metadata: Buffer }[]
  readonly partitionAssigner: GroupPartitionsAssigner
}

const RETRY_MS = 500
const END_ATTEMPTS = 8
/** A member hears of a rebalance with its next heartbeat. */
const HEARTBEAT_MS = 1000
/** The answer to a join comes when all members have joined, or those that died have lost their sessions; and a way back. */
const JOIN_GRACE_MS = 5000

/** The part of a reader in a consumer group: it joins, joins again whatever happens, commits and leaves. */
export class Membership {
  readonly #parts: MembershipParts
  #consumer: Consumer
  /** Those that are still leaving. */
  readonly #replaced = new Set<Consumer>()
  #isClosed = false
  #lastBeat = 0
  #joins = 0
  #cancelWatch: (() => void) | undefined
  #handing: Promise<void> = Promise.resolve()

  constructor(parts: MembershipParts) {
    this.#parts = parts
    this.#consumer = this.#make()
  }

  /** Resolves when the first assignment has been taken up. */
  async join(): Promise<void> {
    await this.#consumer.joinGroup({})
    await this.#handing
  }

  async committed(): Promise<Map<PartitionId, bigint>> {
    const { topics } = this.#parts.request
    const metadata = await this.#consumer.metadata({ topics: [...topics] })
    const wanted = topics.map((topic) => {
      const count = metadata.topics.get(topic)?.partitionsCount ?? 0
      return { topic, partitions: Array.from({ length: count }, (_, partition) => partition) }
    })
    const committed = new Map<PartitionId, bigint>()
    for (const [topic, offsets] of await this.#consumer.listCommittedOffsets({ topics: wanted })) {
      for (const [partition, offset] of offsets.entries()) {
        if (offset !== undefined && offset >= 0n) committed.set(partitionId(topic, partition), offset)
      }
    }
    return committed
  }

  async commit(offsets: ReadonlyMap<PartitionId, bigint>): Promise<void> {
    const list = [...offsets].map(([id, offset]) => ({ ...partsOf(id), offset, leaderEpoch: -1 }))
    await this.#consumer.commit({ offsets: list })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelWatch?.()
    await Promise.all([this.#consumer, ...this.#replaced].map(end))
  }

  #make(): Consumer {
    const { request, group, sessionTimeoutMs, makeConsumer } = this.#parts
    const protocol = {
      name: PROTOCOL,
      version: 1,
      // Read anew at every join.
      get metadata() {
        return encodeOwned(request.owned())
      },
    }
    const rebalanceTimeout = sessionTimeoutMs * 2
    const consumer = makeConsumer({
      groupId: group,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout,
      requestTimeout: rebalanceTimeout + JOIN_GRACE_MS,
      heartbeatInterval: Math.min(HEARTBEAT_MS, sessionTimeoutMs),
      protocols: [protocol],
      partitionAssigner: assigner,
    })
    consumer.topics.trackAll(...request.topics)
    consumer.on('consumer:group:join', ({ assignments = [], isLeader = false }) => {
      if (consumer === this.#consumer) this.#hand(assignments, isLeader)
    })
    consumer.on('consumer:heartbeat:start', () => this.#watchBeat(consumer))
    consumer.on('consumer:heartbeat:end', () => {
      this.#cancelWatch?.()
      this.#lastBeat = Date.now()
    })
    consumer.on('consumer:heartbeat:error', ({ error }) => {
      this.#cancelWatch?.()
      if (consumer !== this.#consumer) return
      if (Date.now() - this.#lastBeat > sessionTimeoutMs) this.#replace(consumer, error)
      // The client says nothing more to the group after that, which would go on without it for ever.
      else this.#rejoin(consumer)
    })
    // The client gives up after it could not join again; it would stay silent for ever.
    consumer.on('error' as never, ((error: unknown) => this.#replace(consumer, error)) as never)
    return consumer
  }

  /** As long as a join may take, nobody else needs to wait for a silent broker: by then the session has ended. */
  #watchBeat(consumer: Consumer): void {
    this.#cancelWatch?.()
    const timer = setTimeout(() => {
      // One that heard of a rebalance has no heartbeat under way: it joins.
      if (consumer.isActive()) this.#replace(consumer, new Error('The broker did not answer for a whole session.'))
    }, this.#parts.sessionTimeoutMs)
    this.#cancelWatch = () => clearTimeout(timer)
  }

  #hand(assignments: readonly GroupAssignment[], isLeader: boolean): void {
    this.#lastBeat = Date.now()
    this.#joins += 1
    const join = this.#joins
    const ids = assignments.flatMap(({ topic, partitions }) => partitions.map((one) => partitionId(topic, one)))
    this.#handing = this.#handing.then(async () => {
      // An assignment that another one has overtaken is of no interest any more.
      while (!this.#isClosed && join === this.#joins) {
        try {
          return await this.#parts.assigned(ids, isLeader)
        } catch (error) {
          this.#parts.request.failed(error)
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
        }
      }
    })
  }

  #replace(consumer: Consumer, error: unknown): void {
    if (this.#isClosed || consumer !== this.#consumer) return
    this.#parts.request.failed(error)
    this.#consumer = this.#make()
    this.#lastBeat = Date.now()
    this.#replaced.add(consumer)
    void end(consumer).then(() => this.#replaced.delete(consumer))
    this.#rejoin(this.#consumer)
  }

  #rejoin(consumer: Consumer): void {
    if (this.#isClosed || consumer !== this.#consumer) return
    consumer.joinGroup({}).catch(() => setTimeout(() => this.#rejoin(consumer), RETRY_MS))
  }
}

/** A consumer that cannot leave its group keeps its connections, and with them the process; so it is told again. */
async function end(consumer: Consumer): Promise<void> {
  for (let attempt = 1; attempt <= END_ATTEMPTS; attempt += 1) {
    try {
      return await consumer.close(true)
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}

const assigner: GroupPartitionsAssigner = (...[, members, topics, metadata]) => {
  const partitions = new Map<string, PartitionId[]>()
  for (const topic of topics) {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0
    const ids = Array.from({ length: count }, (_, partition) => partitionId(topic, partition))
    partitions.set(topic, ids)
  }
  const sharers = [...members].map(([id, { topics: read = [], metadata: data }]) => {
    return { id, topics: read, owned: decodeOwned(data as Uint8Array | undefined) }
  })
  return [...sharePartitions(sharers, partitions)].map(([memberId, ids]) => {
    const assignments = new Map<string, GroupAssignment>()
    for (const id of ids) {
      const { topic, partition } = partsOf(id)
      const given = assignments.get(topic)?.partitions ?? []
      assignments.set(topic, { topic, partitions: [...given, partition] })
    }
    return { memberId, assignments }
  })
}
