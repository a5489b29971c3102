import type { Clock } from '../../core/clock.js'
import type { PartitionId } from './client.js'
import type { PartitionLog } from './partition-log.js'

const RETRY_MS = 1000

/** What a committer needs. */
export interface CommitterParts {
  readonly logs: ReadonlyMap<PartitionId, PartitionLog>
  readonly clock: Clock
  commit(offsets: ReadonlyMap<PartitionId, bigint>): Promise<void>
  failed(error: unknown): void
}

/**
 * Commits how far all is settled: one commit at a time, for all that was settled meanwhile. A mark only says that
 * everything below it is handled, so a late commit, or one of a partition that has moved, loses nothing.
 */
export class Committer {
  readonly #parts: CommitterParts
  #committed = new Map<PartitionId, bigint>()
  #running: Promise<void> | undefined
  #cancel: (() => void) | undefined

  constructor(parts: CommitterParts) {
    this.#parts = parts
  }

  /** Takes over what is committed of partitions that this reader has got, and forgets the others. */
  rebase(partitions: readonly PartitionId[]): void {
    const kept = partitions.map((id) => [id, this.#committed.get(id) ?? this.#parts.logs.get(id)?.next ?? 0n] as const)
    this.#committed = new Map(kept)
  }

  /** A partition begins anew: its offsets are smaller than those that were committed. */
  reset(id: PartitionId, start: bigint): void {
    this.#committed.set(id, start)
  }

  /** Commits soon. */
  schedule(): void {
    if (this.#running !== undefined || this.#cancel !== undefined) return
    this.#after(0)
  }

  /** Commits what there is, and resolves when that has been tried. */
  async flush(): Promise<void> {
    this.#stop()
    await this.#running
    await this.#commit()
    this.#stop()
  }

  #stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #after(ms: number): void {
    this.#cancel = this.#parts.clock.setTimer(() => {
      this.#cancel = undefined
      this.#running = this.#commit().finally(() => {
        this.#running = undefined
        if (this.#due().size > 0) this.schedule()
      })
    }, ms)
  }

  #due(): Map<PartitionId, bigint> {
    const due = new Map<PartitionId, bigint>()
    for (const [id, log] of this.#parts.logs) if (log.mark > (this.#committed.get(id) ?? -1n)) due.set(id, log.mark)
    return due
  }

  async #commit(): Promise<void> {
    const due = this.#due()
    if (due.size === 0) return
    try {
      await this.#parts.commit(due)
      for (const [id, mark] of due) this.#committed.set(id, mark)
    } catch (error) {
      this.#parts.failed(error)
      this.#after(RETRY_MS)
    }
  }
}
