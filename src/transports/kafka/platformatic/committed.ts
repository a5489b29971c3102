import type { Consumer } from '@platformatic/kafka'

type Partition = Awaited<ReturnType<Consumer['fetch']>>['responses'][number]['partitions'][number]

/** Several records of one producer. */
export type Batch = NonNullable<Partition['records']>[number]

const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5
const ABORT = 0

/**
 * The batches without those of aborted transactions, and without the notes by which transactions end. Of those that have
 * something in a fetch brokers tell the aborted ones, each with its first offset; one ends with the next abort of its
 * producer, which may stand behind what was fetched.
 */
export function committedOf({ records: batches = [], abortedTransactions }: Partition): Batch[] {
  // Brokers list them as they ended.
  const coming = [...(abortedTransactions ?? [])].sort((a, b) => Number(a.firstOffset - b.firstOffset))
  const aborting = new Set<bigint>()
  let begun = 0
  return batches.filter((batch) => {
    const { firstOffset, lastOffsetDelta, attributes, producerId } = batch
    const last = firstOffset + BigInt(lastOffsetDelta)
    for (let one = coming[begun]; one !== undefined && one.firstOffset <= last; one = coming[begun]) {
      aborting.add(one.producerId)
      begun += 1
    }
    if ((attributes & CONTROL) === 0) return (attributes & TRANSACTIONAL) === 0 || !aborting.has(producerId)
    if (endOf(batch) === ABORT) aborting.delete(producerId)
    return false
  })
}

/** How a transaction has ended: the key of the note has a version before it. */
function endOf({ records: [note] }: Batch): number | undefined {
  return note?.key?.readInt16BE(2)
}
