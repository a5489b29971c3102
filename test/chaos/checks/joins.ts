import type { History, Try } from '../history.js'
import { isRefused } from './operations.js'

/**
 * Tries that may have found what an earlier one with the same key, perhaps at another gateway, had begun: they wait for
 * its result, whatever the broker does meanwhile.
 */
export class Joins {
  readonly #tries = new Map<number, Try[]>()

  constructor({ tries }: Pick<History, 'tries'>) {
    for (const each of tries) {
      const known = this.#tries.get(each.n)
      if (known) known.push(each)
      else this.#tries.set(each.n, [each])
    }
  }

  has(each: Try): boolean {
    const others = this.#tries.get(each.n) ?? []
    return others.some((other) => other !== each && other.from <= each.to && !isRefused(other))
  }
}
