import type { Settled } from './operation.js'

/** What became of the twin of a result: it has been recorded, and is news to nobody. */
export interface Joined {
  readonly verdict: 'same' | 'duplicate' | 'malformed'
}

/** How many results are remembered until their twins come; most come within milliseconds, others to another instance. */
const LIMIT = 1000

/**
 * Each result reaches a gateway with a given store twice, by its own copy and by the recorder's, if that one comes to
 * this instance at all. The second to come joins the first: it is recorded when that one is, by one compare-and-set.
 */
export class Twins {
  readonly #known = new Map<string, Promise<Settled | undefined> | Joined>()

  /** Records a result by `complete`, unless its twin has been or is being recorded here. */
  once(key: string, complete: () => Promise<Settled | undefined>): Promise<Settled | Joined | undefined> {
    const known = this.#known.get(key)
    if (known === undefined) return this.#first(key, complete)
    this.#known.delete(key)
    if (!(known instanceof Promise)) return Promise.resolve(known)
    return this.#second(known, complete)
  }

  /** What the first one failed to record, or could not yet, the second one tries by itself. */
  async #second(
    first: Promise<Settled | undefined>,
    complete: () => Promise<Settled | undefined>,
  ): Promise<Settled | Joined | undefined> {
    const settled = await first.catch(() => undefined)
    return joinedOf(settled) ?? complete()
  }

  #first(key: string, complete: () => Promise<Settled | undefined>): Promise<Settled | undefined> {
    const completing = complete()
    this.#known.set(key, completing)
    if (this.#known.size > LIMIT) this.#forgetOldest()
    const done = (settled?: Settled): void => {
      if (this.#known.get(key) !== completing) return
      const joined = joinedOf(settled)
      // Not the operation itself: a thousand of them may be large.
      if (joined === undefined) this.#known.delete(key)
      else this.#known.set(key, joined)
    }
    completing.then(done, () => done())
    return completing
  }

  #forgetOldest(): void {
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}

const SAME: Joined = { verdict: 'same' }
const DUPLICATE: Joined = { verdict: 'duplicate' }
const MALFORMED: Joined = { verdict: 'malformed' }

/** Whether the result could not be used: only such a one ends an operation without a result, or finds it `ended`. */
export function isMalformed(settled: Settled | Joined | undefined): boolean {
  if (settled?.verdict === 'malformed' || settled?.verdict === 'ended') return true
  return settled?.verdict === 'won' && settled.operation.error?.code === 'ERR_MALFORMED_RESULT'
}

/** What the second one is told; undefined where it has to see for itself. */
function joinedOf(settled: Settled | undefined): Joined | undefined {
  if (isMalformed(settled)) return MALFORMED
  const verdict = settled?.verdict
  if (verdict === 'duplicate') return DUPLICATE
  return verdict === 'won' || verdict === 'late' || verdict === 'conflict' || verdict === 'same' ? SAME : undefined
}
