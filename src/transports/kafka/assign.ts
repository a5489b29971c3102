import type { PartitionId } from './client.js'

/** A member of a group, and the partitions that it has, the dearest first. */
export interface GroupMember {
  readonly id: string
  readonly topics: readonly string[]
  readonly owned: readonly PartitionId[]
}

/** The name under which the members of a group agree on this way to share. */
export const PROTOCOL = 'respond-async-sticky'

/**
 * Shares partitions as evenly as can be and moves as few as can be: what moves is delivered again when it was under
 * way, so each member gives up what it needs least. The same input always gives the same result.
 */
export function sharePartitions(
  members: readonly GroupMember[],
  partitions: ReadonlyMap<string, readonly PartitionId[]>,
): Map<string, PartitionId[]> {
  const shares = new Map<string, PartitionId[]>(members.map(({ id }) => [id, []]))
  const readers = (topic: string) => members.filter(({ topics }) => topics.includes(topic))
  for (const [topic, ids] of partitions) {
    const sharers = readers(topic)
    if (sharers.length > 0) shareTopic(sharers, ids, shares)
  }
  return shares
}

function shareTopic(
  members: readonly GroupMember[],
  ids: readonly PartitionId[],
  shares: Map<string, PartitionId[]>,
): void {
  const free = new Set(ids)
  const counts = new Map<string, number>()
  let extra = ids.length % members.length
  const fair = Math.floor(ids.length / members.length)
  const give = (member: GroupMember, id: PartitionId): void => {
    free.delete(id)
    counts.set(member.id, (counts.get(member.id) ?? 0) + 1)
    shares.get(member.id)?.push(id)
  }
  // Who has most keeps one of the partitions that do not divide evenly.
  const byOwned = [...members].sort((a, b) => b.owned.length - a.owned.length || (a.id < b.id ? -1 : 1))
  for (const member of byOwned) {
    for (const id of member.owned) {
      const count = counts.get(member.id) ?? 0
      if (!free.has(id) || count > fair || (count === fair && extra === 0)) continue
      if (count === fair) extra -= 1
      give(member, id)
    }
  }
  for (const id of [...free]) {
    const poorest = [...byOwned]
      .sort((a, b) => loadOf(a, shares) - loadOf(b, shares))
      .find(hasRoom(counts, fair, extra))
    if (poorest === undefined) continue
    if ((counts.get(poorest.id) ?? 0) === fair) extra -= 1
    give(poorest, id)
  }
}

function loadOf(member: GroupMember, shares: ReadonlyMap<string, readonly PartitionId[]>): number {
  return shares.get(member.id)?.length ?? 0
}

function hasRoom(counts: ReadonlyMap<string, number>, fair: number, extra: number): (member: GroupMember) => boolean {
  return ({ id }) => {
    const count = counts.get(id) ?? 0
    return count < fair || (count === fair && extra > 0)
  }
}

/** What a member says about itself when it joins. */
export function encodeOwned(owned: readonly PartitionId[]): Buffer {
  return Buffer.from(JSON.stringify(owned))
}

/** What another member has said; nothing of somebody else's making stops a group. */
export function decodeOwned(data: Uint8Array | null | undefined): PartitionId[] {
  try {
    const owned: unknown = JSON.parse(Buffer.from(data ?? []).toString('utf8'))
    return Array.isArray(owned) ? owned.filter((id) => typeof id === 'string') : []
  } catch {
    return []
  }
}
