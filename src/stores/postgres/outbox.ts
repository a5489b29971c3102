import type { Operation } from '../../core/operation.js'
import type { Lease, LeaseRequest } from '../../core/store.js'
import type { Database } from './client.js'
import { type Names, NOW } from './names.js'
import { columns, type OperationRow, TIMEOUT_TEXT, toOperation, toStored } from './rows.js'

const MARK_BATCH = 500

/** What is done in the background: lending what is unpublished, marking what is published, and sweeping. */
export class Outbox {
  readonly #db: Database
  readonly #names: Names
  readonly #sender: string

  constructor(db: Database, names: Names, sender: string) {
    this.#db = db
    this.#names = names
    this.#sender = sender
  }

  async lease({ olderThanMs, leaseMs, limit }: LeaseRequest): Promise<Lease> {
    const text = `select ${this.#names.lease}($1::bigint, $2::bigint, $3::integer)::text as json`
    const values = [Math.ceil(olderThanMs), Math.ceil(leaseMs), limit]
    const [row] = await this.#db.query<{ json: string }>(text, values)
    const { token, ids } = JSON.parse(row?.json ?? '{"token":0,"ids":[]}') as { token: number; ids: string[] }
    return { token, operations: ids.length === 0 ? [] : await this.#readLent(ids, token) }
  }

  async markPublished(ids: readonly string[], token?: number): Promise<void> {
    const { operations } = this.#names
    const text = `with locked as materialized (
        select o.id from ${operations} o where o.id in (select json_array_elements_text($1::text::json))
        order by o.id for update
      )
      update ${operations} o set published = true, request = null from locked l
      where o.id = l.id and o.state = 'running' and not o.published
        -- What is past its time has expired, whether anybody has seen it or not: a mark comes too late.
        and o.expires_at > (${NOW})
        and ($2::bigint is null or o.lease_token = $2::bigint)`
    for (let at = 0; at < ids.length; at += MARK_BATCH)
      await this.#db.query(text, [JSON.stringify(ids.slice(at, at + MARK_BATCH)), token ?? null])
  }

  async purge(limit: number): Promise<boolean> {
    const { operations, records } = this.#names
    const text = `with t as materialized (select ${NOW} as at_ms), ended as materialized (
        select id from ${operations} where purge_at <= (select at_ms from t) and state <> 'running'
        order by purge_at limit $1 for update skip locked
      ), past as materialized (
        select key from ${records} where expires_at <= (select at_ms from t)
        order by expires_at limit $1 for update skip locked
      ), operations_gone as (
        delete from ${operations} where id in (select id from ended) returning 1
      ), records_gone as (
        delete from ${records} where key in (select key from past) returning 1
      )
      select greatest((select count(*) from operations_gone), (select count(*) from records_gone))::float8 as most`
    const [row] = await this.#db.query<{ most: number }>(text, [limit])
    return row?.most === limit
  }

  /** Gives also what has outlived its retention before anybody saw that it had expired. */
  async sweep(limit: number): Promise<readonly Operation[]> {
    const text = `select ${columns('o')}, o.request, 0::float8 as at_ms
      from ${this.#names.sweep}($1::integer, $2::text, $3::text) as o`
    const rows = await this.#db.query<OperationRow>(text, [limit, TIMEOUT_TEXT, this.#sender])
    return rows.map(toStored)
  }

  /** The oldest first; what has ended since then is left out. */
  async #readLent(ids: readonly string[], token: number): Promise<Operation[]> {
    const text = `select ${columns('o')}, o.request, (${NOW})::float8 as at_ms from ${this.#names.operations} o
      where o.id in (select json_array_elements_text($1::text::json)) and o.lease_token = $2::bigint
        and o.state = 'running' and not o.published
      order by o.seq`
    const rows = await this.#db.query<OperationRow>(text, [JSON.stringify(ids), token])
    return rows.flatMap((row) => toOperation(row) ?? [])
  }
}
