import type { Operation } from '../../core/operation.js'
import { BATCH_BYTES } from '../group-commit.js'
import type { Seen } from '../watchers.js'
import type { Database } from './client.js'
import { type Names, NOW } from './names.js'
import { columns, type OperationRow, toOperation } from './rows.js'

const EVENTS = ['request', 'progress', 'result', 'late_result', 'conflicting_result']

/**
 * Operations `o` of which a condition on `i` holds, in the order of their ids, as many as one answer may hold; `found`
 * says how many there are. The lengths are read without the events.
 */
export function fittingSql(operations: string, condition: string): string {
  const size = EVENTS.map((name) => `coalesce(octet_length(i.${name}), 0)::bigint`).join(' + ')
  return `(select i.*, count(*) over () as found, sum(${size}) over (order by i.id) - (${size}) as bytes_before
      from ${operations} i where ${condition}) o where o.bytes_before < ${BATCH_BYTES}`
}

/** Reads operations in groups. */
export class Reads {
  readonly #db: Database
  readonly #one: string
  readonly #many: string
  readonly #states: string

  constructor(db: Database, { operations }: Names) {
    this.#db = db
    const what = `${columns('o')}, o.request, (${NOW})::float8 as at_ms`
    this.#one = `select ${what} from ${operations} o where o.id = $1`
    const fitting = fittingSql(operations, 'i.id in (select json_array_elements_text($1::text::json))')
    this.#many = `select ${what}, o.found::float8 as found from ${fitting}`
    this.#states = `select o.id, o.version, o.state from ${operations} o
      where o.id in (select json_array_elements_text($1::text::json))`
  }

  /** For each id, in order, its operation. An answer that would be too large is asked for in parts. */
  async flush(ids: readonly string[]): Promise<readonly (Operation | undefined)[]> {
    const read = new Map<string, Operation | undefined>()
    for (let isMore = true; isMore; ) {
      const rest = ids.filter((id) => !read.has(id))
      const rows = await this.#query(rest)
      for (const row of rows) read.set(row.id, toOperation(row))
      isMore = rows.length > 0 && rows.length < (rows[0]?.found ?? 0)
    }
    return ids.map((id) => read.get(id))
  }

  states(ids: readonly string[]): Promise<readonly Seen[]> {
    return this.#db.query(this.#states, [JSON.stringify(ids)])
  }

  #query(ids: readonly string[]): Promise<readonly (OperationRow & { readonly found?: number })[]> {
    return ids.length === 1 ? this.#db.query(this.#one, ids) : this.#db.query(this.#many, [JSON.stringify(ids)])
  }
}
