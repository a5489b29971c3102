/** What is used of an instance of kafkajs's `Kafka`. */
export interface KafkajsClient {
  producer(options: object): KafkajsProducer
  consumer(options: KafkajsConsumerOptions): KafkajsConsumer
  admin(options: object): KafkajsAdmin
}

/** What is used of kafkajs's producer. */
export interface KafkajsProducer {
  connect(): Promise<void>
  disconnect(): Promise<void>
  sendBatch(batch: {
    acks: number
    timeout: number
    topicMessages: { topic: string; messages: KafkajsMessage[] }[]
  }): Promise<unknown>
}

/** A message to be sent. */
export interface KafkajsMessage {
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer | Buffer[]>
}

/** The options of a consumer that are set. */
export interface KafkajsConsumerOptions {
  groupId: string
  partitionAssigners: KafkajsAssigner[]
  sessionTimeout: number
  rebalanceTimeout: number
  heartbeatInterval: number
  maxWaitTimeInMs: number
  metadataMaxAge: number
  allowAutoTopicCreation: boolean
  readUncommitted: boolean
  retry: object
}

/** Makes the assigner of a consumer. */
export type KafkajsAssigner = (config: {
  cluster: { findTopicPartitionMetadata(topic: string): { partitionId: number }[] }
}) => {
  name: string
  version: number
  assign(group: {
    members: { memberId: string; memberMetadata: Buffer }[]
    topics: string[]
  }): Promise<{ memberId: string; memberAssignment: Buffer }[]>
  protocol(subscription: { topics: string[] }): { name: string; metadata: Buffer }
}

/** A batch of one partition. */
export interface KafkajsBatch {
  topic: string
  partition: number
  messages: KafkajsReadMessage[]
  /** All that was fetched; it is not among the types of kafkajs. */
  rawMessages?: KafkajsRawMessage[]
  lastOffset(): string
}

/** A message that was read. */
export interface KafkajsReadMessage {
  offset: string
  timestamp: string
  key: Buffer | null
  value: Buffer | null
  headers?: Record<string, Buffer | string | null | (Buffer | string | null)[] | undefined>
}

/** A message as it was fetched, or the note by which a transaction ends. */
export interface KafkajsRawMessage extends KafkajsReadMessage {
  isControlRecord?: boolean
  /** `inTransaction` is true for these notes, too. */
  batchContext?: { producerId: string; inTransaction: boolean }
}

/** What is used of kafkajs's consumer. */
export interface KafkajsConsumer {
  readonly events: { readonly GROUP_JOIN: 'consumer.group_join'; readonly CRASH: 'consumer.crash' }
  connect(): Promise<void>
  disconnect(): Promise<void>
  subscribe(subscription: { topics: string[]; fromBeginning: boolean }): Promise<void>
  run(config: {
    autoCommit: boolean
    partitionsConsumedConcurrently: number
    eachBatch(payload: { batch: KafkajsBatch }): Promise<void>
  }): Promise<void>
  seek(position: { topic: string; partition: number; offset: string }): void
  pause(topics: { topic: string; partitions: number[] }[]): void
  resume(topics: { topic: string; partitions: number[] }[]): void
  commitOffsets(offsets: { topic: string; partition: number; offset: string }[]): Promise<void>
  /** Overloaded for every event, so that nothing more can be said here. */
  on(...args: never[]): unknown
}

/** What is used of kafkajs's admin client. */
export interface KafkajsAdmin {
  connect(): Promise<void>
  disconnect(): Promise<void>
  describeCluster(): Promise<unknown>
  listTopics(): Promise<string[]>
  fetchTopicMetadata(options: {
    topics: string[]
  }): Promise<{ topics: { name: string; partitions: readonly unknown[] }[] }>
  fetchTopicOffsets(topic: string): Promise<{ partition: number; high: string; low: string }[]>
  fetchOffsets(options: {
    groupId: string
    topics: string[]
  }): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>
  describeConfigs(options: {
    includeSynonyms: boolean
    resources: { type: number; name: string; configNames: string[] }[]
  }): Promise<{ resources: { configEntries: { configName: string; configValue: string }[] }[] }>
  deleteGroups(groupIds: string[]): Promise<unknown>
}
