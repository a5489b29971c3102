import type { EventMessage } from '../../core/event.js'
import type { Operation } from '../../core/operation.js'
import { encodeEvent } from '../codec.js'
import type { Database } from './client.js'
import { type Names, NOW } from './names.js'
import { columns, type OperationRow, toOperation } from './rows.js'

/** Progress for an operation that still has the version at which it was read. */
export interface Advance {
  readonly id: string
  readonly version: number
  readonly event: EventMessage
  readonly sequence: number
}

interface AdvancedRow extends OperationRow {
  readonly n: number
}

const FIELDS = 'n integer, id text, version integer, event text, sequence bigint'

/** Writes progress by compare-and-set. */
export class Advances {
  readonly #db: Database
  readonly #one: string
  readonly #many: string
  readonly #sender: string

  constructor(db: Database, names: Names, sender: string) {
    this.#db = db
    this.#one = advanceOneSql(names)
    this.#many = advanceManySql(names)
    this.#sender = sender
  }

  /** For each, in order, the operation with its progress; undefined where it has changed or ended meanwhile. */
  async flush(advances: readonly Advance[]): Promise<readonly (Operation | undefined)[]> {
    const values = advances.map(({ id, version, event, sequence }, n) => [n, id, version, encodeEvent(event), sequence])
    const rows = await this.#query(values)
    const written = new Map(rows.map((row) => [row.n, toOperation(row)]))
    return advances.map((_, n) => written.get(n))
  }

  #query(values: readonly (readonly unknown[])[]): Promise<readonly AdvancedRow[]> {
    const [only] = values
    if (values.length === 1 && only !== undefined) return this.#db.query(this.#one, [...only, this.#sender])
    const names = FIELDS.split(', ').map((field) => field.split(' ')[0])
    const rows = values.map((row) => Object.fromEntries(row.map((value, index) => [names[index], value])))
    return this.#db.query(this.#many, [JSON.stringify(rows), this.#sender])
  }
}

/** Sets what progress changes in row `o`, by input `i` at time `t`. */
const ADVANCES = 'version = o.version + 1, updated_at = t.at_ms, progress = i.event, progress_sequence = i.sequence'

/** When it still may. */
function isAsRead(row: string): string {
  return `${row}.version = i.version and ${row}.state = 'running' and ${row}.expires_at > t.at_ms`
}

function advanceOneSql({ operations, announce }: Names): string {
  const params = FIELDS.split(', ').map(
    (field, index) => `$${index + 1}::${field.split(' ')[1]} as ${field.split(' ')[0]}`,
  )
  return `with t as materialized (select ${NOW} as at_ms), i as materialized (select ${params.join(', ')})
    update ${operations} o set ${ADVANCES} from i, t where o.id = i.id and ${isAsRead('o')}
    returning ${columns('o')}, i.n, t.at_ms::float8 as at_ms, ${announce}($6::text, array[o.id]) as announced`
}

// Locked in one order, against deadlocks of two batches. Of two for one operation one is written.
function advanceManySql({ operations, announce }: Names): string {
  return `with t as materialized (select ${NOW} as at_ms),
    i as materialized (select * from json_to_recordset($1::text::json) as x(${FIELDS})),
    locked as materialized (
      select o.* from ${operations} o where o.id in (select id from i) order by o.id for update
    ), advanced as (
      update ${operations} o set ${ADVANCES} from locked l, i, t where o.id = l.id and l.id = i.id and ${isAsRead('l')}
      returning o.*, i.n, t.at_ms
    ), announced as materialized (
      select ${announce}($2::text, array_agg(id)) as count from advanced
    )
    select ${columns('a')}, a.n, a.at_ms::float8 as at_ms, announced.count from advanced a cross join announced`
}
