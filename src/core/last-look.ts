import { isEnded, type Operation } from './operation.js'
import type { GatewayParts } from './parts.js'

/** An answer comes 250 ms after its time at the latest, however slow the store is. */
const LAST_LOOK_MS = 100

/** Reads an operation at the end of a wait, when answers are due: what the store cannot say soon is as it was last seen. */
export function lookAgain(
  { store, deadlines, lifecycle }: GatewayParts,
  id: string,
  lastSeen?: Operation,
): Promise<Operation | undefined> {
  return new Promise((resolve) => {
    const settle = (latest: Operation | undefined) => {
      deadlines.cancel(deadline)
      resolve(latest)
    }
    const deadline = deadlines.add(LAST_LOOK_MS, () => settle(lastSeen))
    store.get(id).then(settle, (error: unknown) => {
      lifecycle.error(error)
      settle(lastSeen)
    })
  })
}

/** Whether an operation does not run any more, or is not kept any more. */
export async function hasEnded({ store }: Pick<GatewayParts, 'store'>, id: string): Promise<boolean> {
  const operation = await store.get(id)
  return operation === undefined || isEnded(operation)
}
