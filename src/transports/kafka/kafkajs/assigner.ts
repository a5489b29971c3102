import { decodeOwned, encodeOwned, type GroupMember, PROTOCOL, sharePartitions } from '../assign.js'
import { type PartitionId, partitionId, partsOf } from '../client.js'
import type { KafkajsAssigner } from './types.js'

/** Shares partitions as `sharePartitions` says; `owned` is asked at every join. */
export function stickyAssigner(owned: () => readonly PartitionId[]): KafkajsAssigner {
  return ({ cluster }) => ({
    name: PROTOCOL,
    version: 1,
    protocol: ({ topics }) => ({ name: PROTOCOL, metadata: encodeSubscription(topics, encodeOwned(owned())) }),
    async assign({ members, topics }) {
      const partitions = new Map(topics.map((topic) => [topic, idsOf(cluster, topic)]))
      const sharers = members.map(({ memberId, memberMetadata }) => decodeSubscription(memberId, memberMetadata))
      const shares = [...sharePartitions(sharers, partitions)]
      return shares.map(([memberId, ids]) => ({ memberId, memberAssignment: encodeAssignment(ids) }))
    },
  })
}

function idsOf(cluster: Parameters<KafkajsAssigner>[0]['cluster'], topic: string): PartitionId[] {
  return cluster.findTopicPartitionMetadata(topic).map((one) => partitionId(topic, one.partitionId))
}

// ConsumerProtocolSubscription, version 1: int16 version, array of topics, bytes; arrays and bytes have an int32 length.
function encodeSubscription(topics: readonly string[], data: Buffer): Buffer {
  return Buffer.concat([int16(1), int32(topics.length), ...topics.map(text), int32(data.length), data])
}

function decodeSubscription(id: string, metadata: Buffer): GroupMember {
  let at = 2
  const take = (size: number): Buffer => {
    at += size
    return metadata.subarray(at - size, at)
  }
  const count = take(4).readInt32BE()
  const topics = Array.from({ length: count }, () => take(take(2).readInt16BE()).toString('utf8'))
  const size = metadata.length - at >= 4 ? take(4).readInt32BE() : -1
  return { id, topics, owned: decodeOwned(size > 0 ? take(size) : undefined) }
}

// ConsumerProtocolAssignment: int16 version, array of topics with arrays of int32 partitions, bytes.
function encodeAssignment(ids: readonly PartitionId[]): Buffer {
  const byTopic = new Map<string, number[]>()
  for (const { topic, partition } of ids.map(partsOf)) byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition])
  const topics = [...byTopic].map(([topic, partitions]) =>
    Buffer.concat([text(topic), int32(partitions.length), ...partitions.map(int32)]),
  )
  return Buffer.concat([int16(1), int32(topics.length), ...topics, int32(0)])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([int16(bytes.length), bytes])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
