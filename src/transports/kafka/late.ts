import type { Clock } from '../../core/clock.js'
import type { IncomingRecord } from '../profiles/kafka-wire.js'

/** Who is watched, and who is told. */
export interface LateParts {
  readonly clock: Pick<Clock, 'now'>
  readonly group: string
  /** `retention.ms` of a topic; undefined, or less than zero, where there is none to fear. */
  retentionMsOf(topic: string): number | undefined
  warn(text: string): void
}

/** The share of its retention that a record may have waited: the other half is left to do something about it. */
const ALARM = 0.5

/** Tells when a group is so far behind that retention may soon delete what it has not read. */
export class Late {
  readonly #parts: LateParts

  constructor(parts: LateParts) {
    this.#parts = parts
  }

  /** Called for the oldest record of each fetch. */
  sees({ topic, timestamp }: Pick<IncomingRecord, 'topic' | 'timestamp'>): void {
    const { clock, group, retentionMsOf, warn } = this.#parts
    const retentionMs = retentionMsOf(topic) ?? -1
    const ageMs = clock.now() - timestamp
    if (retentionMs < 0 || ageMs < retentionMs * ALARM) return
    const text = `The group ${group} reads records of ${topic} that are ${Math.round(ageMs / 1000)} s old`
    warn(`${text}, and retention.ms=${retentionMs} deletes them, read or not: make it longer, or the group faster.`)
  }
}
