import type { Clock } from '../../core/clock.js'

/** Who is watched, and who is told. */
export interface IdleParts {
  readonly clock: Clock
  readonly group: string
  readonly topics: readonly string[]
  /** How many partitions the topics had at the start. */
  readonly partitions: number
  warn(text: string): void
}

/** While a deployment replaces members, there are more of them than later. */
const IDLE_MS = 30_000

/** Tells when a member of a group is there in vain, as others have all the partitions. */
export class Idle {
  readonly #parts: IdleParts
  #cancel: (() => void) | undefined

  constructor(parts: IdleParts) {
    this.#parts = parts
  }

  /** Called after every assignment. */
  has(partitions: number): void {
    if (partitions > 0) this.close()
    else this.#cancel ??= this.#parts.clock.setTimer(() => this.#tell(), IDLE_MS, true)
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #tell(): void {
    const { group, topics, partitions, warn } = this.#parts
    const text = `The group ${group} has more members than ${topics.join(', ')} has partitions (${partitions})`
    warn(`${text}: one of them has been given none for ${IDLE_MS / 1000} s, and does nothing.`)
  }
}
