import { GatewayError } from '../../core/errors.js'
import { MARK_LENGTH, markOf } from '../../core/mark.js'
import type { Channel, Reading } from '../../core/transport.js'
import type { IncomingRecord } from '../profiles/kafka-wire.js'
import { type Assignment, type KafkaClient, type PartitionId, partsOf } from './client.js'

/** Where each partition is read from. */
export type Offsets = ReadonlyMap<PartitionId, bigint>

/** A record that was read, by which its partition is known again. */
export interface Witness {
  readonly offset: bigint
  readonly mark: string
}

/** Where a replay stands in a partition. */
export interface Place {
  readonly next: bigint
  /** The last record before; undefined where none was read, and in positions that older versions have written. */
  readonly last?: Witness | undefined
}

/** Where a replay stands. */
export type Places = ReadonlyMap<PartitionId, Place>

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
): Promise<Places> {
  const [first, end] = [await client.offsets(topics, 'beginning'), await client.offsets(topics, 'end')]
  if (from === 'now') return new Map([...end].map(([partition, next]) => [partition, { next }]))
  const wanted = from === 'beginning' ? undefined : parsePosition(from.after)
  for (const partition of wanted?.keys() ?? [])
    if (topics.includes(partsOf(partition).topic) && !first.has(partition)) throw vanished(partition)
  const places = new Map<PartitionId, Place>()
  for (const [partition, oldest] of first) {
    // A partition that the position does not know was created after it.
    const { next, last } = wanted?.get(partition) ?? { next: 0n }
    const newest = end.get(partition) ?? oldest
    if (next < oldest || next > newest) throw unreachable(partition, next, [oldest, newest])
    // What retention has deleted since cannot be compared.
    places.set(partition, { next, last: last !== undefined && last.offset >= oldest ? last : undefined })
  }
  return places
}

/** Topics get more partitions, never fewer. */
function vanished(partition: PartitionId): GatewayError {
  return new GatewayError('ERR_CONFIG', `The topic of ${partition} was made anew: it has no such partition any more.`)
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

/** The record as a witness: its mark is made of what brokers never change, also when they compact a topic. */
export function witnessOf({ offset, timestamp, key, value }: IncomingRecord): Witness {
  return { offset, mark: markOf([`${timestamp}`, key, value]) }
}

/**
 * A position says for every partition what comes next, and the mark of the record before: `topic:0=15~Xk3v_Q-0;topic:1=3`.
 * `topic:0=15~2~Xk3v_Q-0` where that record stands by 2 further up than the one right before.
 */
export function formatPosition(places: Iterable<readonly [PartitionId, Place]>): string {
  return [...places].map(([partition, place]) => `${partition}=${formatPlace(place)}`).join(';')
}

function formatPlace({ next, last }: Place): string {
  if (last === undefined) return `${next}`
  const distance = next - 1n - last.offset
  return distance === 0n ? `${next}~${last.mark}` : `${next}~${distance}~${last.mark}`
}

const PLACE = new RegExp(`^([\\w.-]+:\\d{1,9})=(\\d{1,19})(?:(?:~(\\d{1,19}))?~([\\w-]{${MARK_LENGTH}}))?$`)

/**
 * Reads a position.
 * @throws GatewayError ERR_CONFIG when it is none.
 */
export function parsePosition(text: string): Places {
  const places = new Map<PartitionId, Place>()
  for (const part of text.split(';')) {
    const match = PLACE.exec(part)
    if (match === null) throw new GatewayError('ERR_CONFIG', `${JSON.stringify(text)} is no position in Kafka topics.`)
    const [, partition = '', offset = '0', distance = '0', mark] = match
    const next = BigInt(offset)
    places.set(partition, { next, ...(mark && { last: { offset: next - 1n - BigInt(distance), mark } }) })
  }
  return places
}

/** Why records from an offset on are not there, where the partition goes on at another. */
export function describeLoss(id: PartitionId, from: bigint, to: bigint): string {
  if (to < from) return `The topic of ${id} was made anew: it has no offset ${from}.`
  return `Records of ${id} from offset ${from} to ${to} were deleted by retention before they were read.`
}

/** What it means when the last record that was read is another one now. */
export function describeAnother(id: PartitionId, { offset }: Witness): string {
  return `The topic of ${id} was made anew: at offset ${offset} it does not have the record that was there.`
}

/** Why a partition is not read on. */
export function describeHeldUp(id: PartitionId, offset: bigint): string {
  return `Offset ${offset} of ${id} still fails, and too much was read behind it: the partition waits until it is handled.`
}
