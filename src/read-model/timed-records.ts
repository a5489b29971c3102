import type { Clock } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { within } from '../core/in-time.js'
import type { RecordSpace } from '../core/store.js'

/**
 * A record space whose calls take no longer than `ms`. One that is given up may be done all the same, even later: it is
 * for those who begin anew after an error, and write under a condition or what is always the same.
 */
export function timedRecords(records: RecordSpace, { ms, clock }: { readonly ms: number; readonly clock: Clock }) {
  const text = `The store has not answered for ${ms} ms.`
  const late = () => new GatewayError('ERR_STORE_UNAVAILABLE', text, { outcome: 'unknown' })
  const timed = <T>(call: Promise<T>): Promise<T> => within(call, { ms, late, clock })
  return {
    get: async (key) => timed(records.get(key)),
    put: async (write) => timed(records.put(write)),
    delete: async (key, ifVersion) => timed(records.delete(key, ifVersion)),
    list: async (prefix, page) => timed(records.list(prefix, page)),
  } satisfies RecordSpace
}
