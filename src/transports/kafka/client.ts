import type { IncomingRecord, OutgoingRecord } from '../profiles/kafka-wire.js'

/** A partition as `topic:number`; topics have no colon in them. */
export type PartitionId = string

/** What is kept about a topic; its settings are undefined when the broker denies to say them. */
export interface TopicFacts {
  readonly partitions: number
  /** `cleanup.policy` */
  readonly cleanupPolicy?: string | undefined
  /** `max.message.bytes`, the topic's own or the broker's. */
  readonly maxMessageBytes?: number | undefined
  /** `retention.ms` and `retention.bytes`; -1 when there is no limit. */
  readonly retentionMs?: number | undefined
  readonly retentionBytes?: number | undefined
}

/** The settings of a topic that are asked for. */
export const TOPIC_SETTINGS = ['cleanup.policy', 'max.message.bytes', 'retention.ms', 'retention.bytes']

/** What the answer says. */
export function toSettings(read: (name: string) => string | null | undefined): Omit<TopicFacts, 'partitions'> {
  const number = (name: string): number | undefined => {
    const text = read(name) ?? undefined
    return text === undefined ? undefined : Number(text)
  }
  return {
    cleanupPolicy: read('cleanup.policy') ?? undefined,
    maxMessageBytes: number('max.message.bytes'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
  }
}

/** What became of a failed produce call; `missing` is that of a topic that does not exist. */
export type Refusal = 'unavailable' | 'missing' | 'rejected' | 'unknown'

/** A produce call that failed: `unknown` means that its records may have been written, the others that they were not. */
export class ProduceError extends Error {
  readonly refusal: Refusal
  /** True when its topic will never take a record as this one is: too large, or without the key that it needs. */
  readonly isPermanent: boolean

  constructor(refusal: Refusal, cause: unknown, isPermanent = false) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.name = 'ProduceError'
    this.refusal = refusal
    this.isPermanent = isPermanent
  }
}

/** The partitions that a reader has from now on. */
export interface Assignment {
  readonly partitions: readonly PartitionId[]
  /** One member of a group is its leader; a reader without a group is its own. */
  readonly isLeader: boolean
  /** The committed offsets of the group, for all partitions of its topics that have one. */
  committed(): Promise<ReadonlyMap<PartitionId, bigint>>
  commit(offsets: ReadonlyMap<PartitionId, bigint>): Promise<void>
}

/** What a client has to know to read, and whom to tell what it has read. */
export interface ReadRequest {
  readonly topics: readonly string[]
  /** The group that shares the partitions; without it this reader gets all partitions and commits nothing. */
  readonly group: string | undefined
  /** A name that nobody else has, for clients that cannot read without a group. */
  readonly ownGroup: string
  /** The next offset of a partition that was taken up already. */
  nextOf(partition: PartitionId): bigint | undefined
  /** The partitions that it would like to keep, the dearest first. */
  owned(): readonly PartitionId[]
  /**
   * Called at first and after every change; nothing is read of a new partition before it has resolved to the offsets
   * where to read on. Partitions without one there are already being read.
   */
  assigned(assignment: Assignment): Promise<ReadonlyMap<PartitionId, bigint>>
  /** The records of a partition in their order, and the offset behind them; records of others may be in between. */
  received(partition: PartitionId, records: Iterable<IncomingRecord>, next: bigint): void
  /**
   * Reading goes on at `to`, as the records that were to be read are not there: they are older than the topic's
   * retention, or, when `to` is less than `from`, the topic has been made anew.
   */
  lost(partition: PartitionId, from: bigint, to: bigint): void
  failed(error: unknown): void
  /** The client has given up this reader; only another one can go on. */
  died(error: unknown): void
}

/** An open reading of a client. */
export interface ClientReader {
  pause(partition: PartitionId): void
  resume(partition: PartitionId): void
  commit(offsets: ReadonlyMap<PartitionId, bigint>): Promise<void>
  close(): Promise<void>
}

/** What the options of a client are called, for errors that say which one to change. */
export interface OptionNames {
  readonly brokers: string
  readonly tls: string
  readonly sasl: string
}

/** What this transport needs of a Kafka client: `platformatic()` and `kafkajs()` make one. */
export interface KafkaClient {
  readonly name: string
  readonly optionNames?: OptionNames
  connect(): Promise<void>
  close(): Promise<void>
  /** Asks a broker something; rejects soon when none can be reached. */
  check(): Promise<void>
  /** The topics among these that exist. */
  describe(topics: readonly string[]): Promise<ReadonlyMap<string, TopicFacts>>
  /** The first offset that is there, or the one behind the last, of each partition. */
  offsets(topics: readonly string[], at: 'beginning' | 'end'): Promise<ReadonlyMap<PartitionId, bigint>>
  /** Writes records with `acks=all`, in one call; rejects with a ProduceError. It never tries again itself. */
  produce(records: readonly OutgoingRecord[]): Promise<void>
  /** Resolves when the first assignment is positioned. */
  read(request: ReadRequest): Promise<ClientReader>
}

/** Names a partition. */
export function partitionId(topic: string, partition: number): PartitionId {
  return `${topic}:${partition}`
}

/** The topic and the number of a partition. */
export function partsOf(id: PartitionId): { readonly topic: string; readonly partition: number } {
  const at = id.lastIndexOf(':')
  return { topic: id.slice(0, at), partition: Number(id.slice(at + 1)) }
}
