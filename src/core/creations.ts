import type { AnyDefinition } from './definition.js'
import { GatewayError } from './errors.js'
import { isWellFormed, normaliseId } from './ids.js'
import { isEnded, type Operation } from './operation.js'
import type { GatewayParts } from './parts.js'
import type { StoredRecord } from './store.js'

const LONGEST_ID = 256
/** How many operations that create the same are kept track of. */
const MOST = 16
const ATTEMPTS = 50

type Parts = Pick<GatewayParts, 'store' | 'storeKind' | 'commands' | 'settings'>

/**
 * Notes which operation creates what has the id that the command says, beside others that do; nothing where the two ids
 * are the same.
 */
export async function noteCreation({ store, settings }: Parts, { creates }: AnyDefinition, operation: Operation) {
  const id = creates?.(operation)
  if (id === undefined || id === operation.id || !canBeNoted(id)) return
  const write = (operations: readonly Operation[], ifVersion: number): Promise<number | undefined> => {
    const value = Buffer.from(operations.map((one) => one.id).join('\n'))
    return store.records.put({ key: keyOf(id), value, ifVersion, ttlMs: settings.operationTtlMs })
  }
  if ((await write([operation], 0)) !== undefined) return
  // Of all that write at the same time one succeeds, until there are too many.
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const record = await store.records.get(keyOf(id))
    const others = record === undefined ? [] : await worthKeeping(store, record)
    const kept = withinLimit([...others, operation])
    if (!kept.includes(operation) || (await write(kept, record?.version ?? 0)) !== undefined) return
  }
  throw new GatewayError('ERR_STORE_UNAVAILABLE', 'Too many operations that create the same begin at once.')
}

/** Finds the operations that create what has this id, whichever instances started them, in the order of their start. */
export async function findCreations({ store, storeKind, commands }: Parts, id: string): Promise<readonly Operation[]> {
  const creating = [...commands.values()].filter(({ definition }) => definition.creates !== undefined)
  if (creating.length === 0 || storeKind === 'none' || !canBeNoted(id)) return []
  const own = normaliseId(id) === undefined ? undefined : await store.get(id)
  if (own !== undefined && createsItself(own, creating)) return [own]
  const record = await store.records.get(keyOf(id))
  return record === undefined ? [] : operationsOf(store, record)
}

/** Nobody asks for others: no URL names them. */
function canBeNoted(id: string): boolean {
  return id.length <= LONGEST_ID && isWellFormed(id)
}

/** Those that run, and as many as there is room for of those that have created it, which may not be seen yet. */
async function worthKeeping(store: Parts['store'], record: StoredRecord): Promise<readonly Operation[]> {
  const all = await operationsOf(store, record)
  const running = all.filter((operation) => !isEnded(operation))
  const done = all.filter(({ state }) => state === 'succeeded')
  const surplus = Math.max(running.length + done.length + 1 - MOST, 0)
  return [...done.slice(surplus), ...running]
}

/** Of too many the newest gives way of whoever has most, so that nobody hides the operation of another. */
function withinLimit(operations: readonly Operation[]): readonly Operation[] {
  if (operations.length <= MOST) return operations
  const countOf = (one: Operation) => operations.filter(({ principal }) => principal === one.principal).length
  const surplus = operations.reduce((most, one) => (countOf(one) >= countOf(most) ? one : most))
  return operations.filter((one) => one !== surplus)
}

async function operationsOf(store: Parts['store'], { value }: StoredRecord): Promise<readonly Operation[]> {
  const found = await Promise.all(
    Buffer.from(value)
      .toString()
      .split('\n')
      .map((id) => store.get(id)),
  )
  return found.filter((operation) => operation !== undefined)
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
