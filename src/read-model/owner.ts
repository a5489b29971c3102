import { GatewayError } from '../core/errors.js'
import type { RecordSpace } from '../core/store.js'
import type { Projection } from './projection.js'
import { prefixOf } from './snapshots.js'

/**
 * Notes which events a projection is made of, where its snapshots and rows are.
 * @throws GatewayError ERR_CONFIG when those that are there are made of others: their states would be taken for its own.
 */
export async function assertOwner(records: RecordSpace, projection: Projection): Promise<void> {
  const { name, version } = projection
  const types = [...projection.types].sort().join(', ')
  const key = `${prefixOf(projection)}types`
  // Of several that start at the same time one is the first. Where the store takes nothing the next start notes it.
  await records.put({ key, value: Buffer.from(types), ifVersion: 0 }).catch(() => undefined)
  const record = await records.get(key)
  const known = record && Buffer.from(record.value).toString()
  if (known === undefined || known === types) return
  const text = `The store has a read model "${name}", version ${version}, that is made of ${known}, and not of ${types}.`
  const help = 'Raise the version if it has changed; if it is that of another service, take another name.'
  throw new GatewayError('ERR_CONFIG', `${text} ${help}`)
}
