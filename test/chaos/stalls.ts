import { now } from './history.js'

const EVERY_MS = 10
/** Shorter ones excuse nothing. */
const LEAST_MS = 25

/** Tells whenever this process did not get to run, or was busy, for longer than a moment. */
export function watchStalls(tell: (stall: { readonly from: number; readonly to: number }) => void): () => void {
  let last = now()
  const timer = setInterval(() => {
    const current = now()
    if (current - last > EVERY_MS + LEAST_MS) tell({ from: last, to: current })
    last = current
  }, EVERY_MS)
  return () => clearInterval(timer)
}
