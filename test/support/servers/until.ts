import { setTimeout as sleep } from 'node:timers/promises'

/** What is waited for, and how long. */
export interface Until {
  readonly what: string
  readonly timeoutMs: number
  readonly everyMs?: number
}

/** Resolves to the first value that is not undefined or false; rejects, naming what did not come. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { what, timeoutMs, everyMs = 50 }: Until,
): Promise<T> {
  for (const start = performance.now(); ; await sleep(everyMs)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() - start > timeoutMs) throw new Error(`This did not come within ${timeoutMs} ms: ${what}`)
  }
}
