import type { AnyDefinition } from './definition.js'
import { normaliseId } from './ids.js'
import type { Operation } from './operation.js'
import type { GatewayParts } from './parts.js'
import type { RecordWrite } from './store.js'

const LONGEST_ID = 256

/** What leads from the id of what an operation creates to the operation; undefined where the two ids are the same. */
export function creationRecord(
  { creates }: AnyDefinition,
  operation: Operation,
  ttlMs: number,
): RecordWrite | undefined {
  const id = creates?.(operation)
  if (id === undefined || id === operation.id || id.length > LONGEST_ID) return undefined
  return { key: keyOf(id), value: Buffer.from(operation.id), ttlMs }
}

/** Finds the operation that creates what has this id, whichever instance started it. */
export async function findCreation(
  { store, storeKind, commands }: GatewayParts,
  id: string,
): Promise<Operation | undefined> {
  const creating = [...commands.values()].filter(({ definition }) => definition.creates !== undefined)
  if (creating.length === 0 || storeKind === 'none' || id.length > LONGEST_ID) return undefined
  const own = normaliseId(id) === undefined ? undefined : await store.get(id)
  if (own !== undefined && createsItself(own, creating)) return own
  const record = await store.records.get(keyOf(id))
  return record && (await store.get(Buffer.from(record.value).toString()))
}

function createsItself(
  operation: Operation,
  creating: readonly { name: string; definition: AnyDefinition }[],
): boolean {
  const plan = creating.find(({ name }) => name === operation.command)
  // What needs the request event, which may be gone by now, has been noted in a record.
  try {
    return plan?.definition.creates?.(operation) === operation.id
  } catch {
    return false
  }
}

function keyOf(id: string): string {
  return `creates/${encodeURIComponent(id)}`
}
