import { createHash } from 'node:crypto'
import { GatewayError } from '../../core/errors.js'
import { begin, type NewOperation, type Operation } from '../../core/operation.js'
import type { Created } from '../../core/store.js'
import { encodeEvent, encodeHead } from '../codec.js'
import type { Database } from './client.js'
import { type Names, NOW } from './names.js'
import { fittingSql } from './reads.js'
import { columns, type OperationRow, toOperation } from './rows.js'

/** Without an answer for any: a holder that is gone again each time has others that race for the same key. */
const ROUNDS = 10

const FIELDS =
  'n integer, id text, command text, ttl bigint, retention bigint, key text, lane text, head text, request text'

interface Made {
  readonly id: string
  readonly created_at: number
}

interface Held extends OperationRow {
  readonly digest: string | null
}

/** Creates operations, each unless its id or its idempotency key is taken. */
export class Creates {
  readonly #db: Database
  readonly #insertOne: string
  readonly #insertMany: string
  readonly #find: string
  readonly #findByKey: string
  readonly #purge: string

  constructor(db: Database, names: Names) {
    this.#db = db
    const params = FIELDS.split(', ').map((field, index) => `$${index + 1}::${field.split(' ')[1]}`)
    const aliases = FIELDS.split(', ').map((field) => field.split(' ')[0])
    this.#insertOne = insertSql(names, `(values (${params.join(', ')})) as x(${aliases.join(', ')})`)
    this.#insertMany = insertSql(names, `json_to_recordset($1::text::json) as x(${FIELDS})`)
    const wanted = (name: string) => `select ${name} from json_to_recordset($1::text::json) as x(id text, key text)`
    const isWanted = `id in (${wanted('id')}) or idempotency in (${wanted("decode(key, 'hex')")})`
    this.#find = `select ${columns('o')}, o.request, encode(o.idempotency, 'hex') as digest, (${NOW})::float8 as at_ms
      from ${fittingSql(names.operations, isWanted)}`
    this.#findByKey = `select ${columns('o')}, o.request, (${NOW})::float8 as at_ms
      from ${names.operations} o where o.idempotency = decode($1, 'hex')`
    this.#purge = `delete from ${names.operations} where id in (
      select o.id from ${names.operations} o where (${isWanted})
        and (case when o.state = 'running' then o.purge_at else o.expires_at end) <= ${NOW}
      order by o.id for update)`
  }

  /** The operation that has a key. */
  async find(key: string): Promise<Operation | undefined> {
    const [row] = await this.#db.query<Held>(this.#findByKey, [digestOf(key)])
    return row && toOperation(row)
  }

  /** Answers in the order of the operations. */
  async flush(operations: readonly NewOperation[]): Promise<readonly (Created | Error)[]> {
    const answers = new Map<NewOperation, Created>()
    let open = operations.map((operation, n) => ({ operation, values: toValues(operation, n) }))
    for (let round = 0; open.length > 0 && round < ROUNDS; round += 1) {
      const before = answers.size
      await this.#insert(open, answers)
      open = open.filter(({ operation }) => !answers.has(operation))
      if (open.length > 0) await this.#join(open, answers)
      open = open.filter(({ operation }) => !answers.has(operation))
      if (answers.size > before) round = 0
    }
    return operations.map((operation) => answers.get(operation) ?? contended(operation))
  }

  async #insert(entries: readonly Entry[], answers: Map<NewOperation, Created>): Promise<void> {
    const values = entries.map((entry) => entry.values)
    const [first] = values
    const made =
      values.length === 1 && first !== undefined
        ? await this.#db.query<Made>(this.#insertOne, Object.values(first))
        : await this.#db.query<Made>(this.#insertMany, [JSON.stringify(values)])
    const madeAt = new Map(made.map((row) => [row.id, row.created_at]))
    for (const { operation } of entries) {
      const createdAt = madeAt.get(operation.id)
      // Of two calls with one id the first has made it; the second finds it.
      if (createdAt === undefined) continue
      madeAt.delete(operation.id)
      answers.set(operation, { created: true, operation: begin(operation, createdAt) })
    }
  }

  /** Those whose id or key is taken get what has it, unless that is only waiting to be dropped, or comes later. */
  async #join(entries: readonly Entry[], answers: Map<NewOperation, Created>): Promise<void> {
    const wanted = JSON.stringify(entries.map(({ values: { id, key } }) => ({ id, key })))
    const rows = await this.#db.query<Held>(this.#find, [wanted])
    const byId = new Map(rows.map((row) => [row.id, row]))
    const byDigest = new Map(rows.flatMap((row) => (row.digest === null ? [] : [[row.digest, row] as const])))
    let areGone = false
    for (const { operation, values } of entries) {
      // First the id: when a call is repeated, its key is taken by its own operation.
      const row = byId.get(operation.id) ?? byDigest.get(values.key ?? '')
      const found = row === undefined ? undefined : toOperation(row)
      if (found !== undefined) answers.set(operation, { created: found.id === operation.id, operation: found })
      else if (row !== undefined) areGone = true
    }
    if (areGone) await this.#db.query(this.#purge, [wanted])
  }
}

type Entry = { readonly operation: NewOperation; readonly values: ReturnType<typeof toValues> }

function toValues(operation: NewOperation, n: number) {
  const { id, command, ttlMs, retentionMs, principal, idempotency, request } = operation
  // In the order of the fields. As a digest, keys of any length and content fit into an index.
  return {
    n,
    id,
    command,
    ttl: ttlMs,
    retention: retentionMs,
    key: idempotency === undefined ? null : digestOf(idempotency.key),
    lane: request.key === undefined ? null : JSON.stringify(request.key),
    head: encodeHead({ principal, key: request.key, idempotency }),
    request: encodeEvent(request),
  }
}

function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

// Sorted, so that two batches with the same keys wait for each other in one order; numbered before that, so that the
// sequence follows the order of the calls. What is made goes onto the list of open operations in the same write.
function insertSql({ operations, open, sequence }: Names, source: string): string {
  return `with t as materialized (select ${NOW} as at_ms),
    input as materialized (select x.*, nextval('${sequence}') as seq from ${source}),
    made as (
      insert into ${operations} (id, seq, command, created_at, updated_at, expires_at, retention_ms, purge_at,
        idempotency, lane, head, request)
      select id, seq, command, at_ms, at_ms, at_ms + ttl, retention, at_ms + ttl + retention,
        decode(key, 'hex'), lane, head, request
      from input, t order by key, id, n
      on conflict do nothing
      returning id, created_at, expires_at
    ), listed as (
      insert into ${open} (created_at, due_at, ids)
      select min(created_at), min(expires_at), array_agg(id) from made having count(*) > 0
    )
    select id, created_at::float8 as created_at from made`
}

function contended({ id }: NewOperation): GatewayError {
  const text = `The idempotency key of operation ${id} changed hands ${ROUNDS} times.`
  return new GatewayError('ERR_STORE_UNAVAILABLE', text, { outcome: 'not-accepted' })
}
