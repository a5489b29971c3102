import { GatewayError } from '../../core/errors.js'
import type { Channel, Reading } from '../../core/transport.js'
import type { Assignment, KafkaClient, PartitionId } from './client.js'

/** Where each partition is read from. */
export type Offsets = ReadonlyMap<PartitionId, bigint>

/** What decides where a reader starts. */
export interface StartParts {
  readonly client: Pick<KafkaClient, 'offsets'>
  readonly topics: readonly string[]
  readonly channel: Channel
  /** Waits, so that others can be asked again. */
  pause(ms: number): Promise<void>
}

const LEADER_ROUNDS = 100

/** The start of a reader of its own: the end as it is, and what is created later from its beginning. */
export async function startOfOwn({ client, topics }: StartParts): Promise<Offsets> {
  return client.offsets(topics, 'end')
}

/**
 * The start of a replay.
 * @throws GatewayError ERR_CONFIG when something in between is no longer there, as that gap would never be noticed.
 */
export async function startOfReplay(
  { client, topics }: StartParts,
  from: Extract<Reading, { kind: 'replay' }>['from'],
): Promise<Offsets> {
  const [first, end] = [await client.offsets(topics, 'beginning'), await client.offsets(topics, 'end')]
  if (from === 'now') return end
  const wanted = from === 'beginning' ? undefined : parsePosition(from.after)
  const starts = new Map<PartitionId, bigint>()
  for (const [partition, oldest] of first) {
    // A partition that the position does not know was created after it.
    const start = wanted?.get(partition) ?? 0n
    const newest = end.get(partition) ?? oldest
    if (start < oldest || start > newest) throw unreachable(partition, start, [oldest, newest])
    starts.set(partition, start)
  }
  return starts
}

function unreachable(partition: PartitionId, start: bigint, [oldest, newest]: readonly [bigint, bigint]): GatewayError {
  const text = `Kafka cannot replay ${partition} from offset ${start}: it has the offsets from ${oldest} to ${newest}.`
  return new GatewayError('ERR_CONFIG', `${text} A topic that is replayed needs unlimited retention.ms and .bytes.`)
}

/**
 * The start of a member of a group: where the group has committed. A group that has committed nothing is new: it reads
 * all requests, and the results from then on. A partition without a commit in a group that has others is new itself,
 * and is read from its beginning.
 */
export async function startOfShared(parts: StartParts, assignment: Assignment): Promise<Offsets> {
  let known = await assignment.committed()
  const isComplete = () => assignment.partitions.every((partition) => known.has(partition))
  if (isComplete()) return known
  const first = await parts.client.offsets(parts.topics, 'beginning')
  if (parts.channel === 'requests') return merge(first, known)
  if (assignment.isLeader) {
    const missing = known.size === 0 ? await parts.client.offsets(parts.topics, 'end') : first
    // For all partitions in one commit, by one member: from then on nobody can take the group for a new one.
    const starts = merge(missing, known)
    await assignment.commit(starts)
    return starts
  }
  for (let round = 0; round < LEADER_ROUNDS && !isComplete(); round += 1) {
    await parts.pause(100)
    known = await assignment.committed()
  }
  return merge(first, known)
}

function merge(base: Offsets, over: Offsets): Offsets {
  return new Map([...base, ...over])
}

/** A position says for every partition what comes next: `topic:0=15;topic:1=3`. */
export function formatPosition(next: Iterable<readonly [PartitionId, bigint]>): string {
  return [...next].map(([partition, offset]) => `${partition}=${offset}`).join(';')
}

/**
 * Reads a position.
 * @throws GatewayError ERR_CONFIG when it is none.
 */
export function parsePosition(text: string): Offsets {
  const offsets = new Map<PartitionId, bigint>()
  for (const part of text.split(';')) {
    const match = /^([\w.-]+:\d{1,9})=(\d{1,19})$/.exec(part)
    if (match === null) throw new GatewayError('ERR_CONFIG', `${JSON.stringify(text)} is no position in Kafka topics.`)
    offsets.set(match[1] ?? '', BigInt(match[2] ?? 0))
  }
  return offsets
}

/** Why records from an offset on are not there, where the partition goes on at another. */
export function describeLoss(id: PartitionId, from: bigint, to: bigint): string {
  if (to < from) return `The topic of ${id} was made anew: it has no offset ${from}.`
  return `Records of ${id} from offset ${from} to ${to} were deleted by retention before they were read.`
}
