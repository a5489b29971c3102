import { GatewayError } from '../../core/errors.js'
import { type Ending, isEnded, type Settled, settle } from '../../core/operation.js'
import type { RecordWrite } from '../../core/store.js'
import { encodeError, encodeEvent } from '../codec.js'
import type { Database } from './client.js'
import { type Names, NOW } from './names.js'
import { recordWritesSql, toRecordValues } from './record-writes.js'
import { columns, type OperationRow, toOperation } from './rows.js'

/** One call of `complete`. */
export interface EndingCall {
  readonly id: string
  readonly ending: Ending
  readonly records: readonly RecordWrite[]
}

/** What became of it; `won` is given to one of all the calls for an operation. */
export type EndingAnswer = Settled | undefined

interface LockedRow extends OperationRow {
  readonly won: boolean
}

const FIELDS = 'id text, command text, state text, version integer, result text, error text, release boolean'
const ROUNDS = 10

/**
 * Ends operations by compare-and-set. The statements only decide who wins, under the lock of the row; what an ending
 * makes of an operation, and what it means to come too late, is `settle` in the core.
 */
export class Endings {
  readonly #db: Database
  readonly #winOne: string
  readonly #settleMany: string
  readonly #settleWithRecords: string
  readonly #keep: Readonly<Record<'late' | 'conflict', string>>
  readonly #sender: string

  constructor(db: Database, names: Names, sender: string) {
    this.#db = db
    this.#sender = sender
    this.#winOne = winSql(names)
    this.#settleMany = settleSql(names, '')
    this.#settleWithRecords = settleSql(names, recordWritesSql(names, 'join won on won.id = w.owner', '$3'))
    this.#keep = {
      late: `update ${names.operations} set late_result = $2 where id = $1 and late_result is null
        and result is null and (state <> 'running' or expires_at <= ${NOW}) returning id`,
      conflict: `update ${names.operations} set conflicting_result = $2 where id = $1 and conflicting_result is null
        and result is not null returning id`,
    }
  }

  /** Answers in the order of the calls. */
  async flush(calls: readonly EndingCall[]): Promise<readonly (EndingAnswer | Error)[]> {
    const [only] = calls
    if (calls.length === 1 && only !== undefined && only.records.length === 0) {
      const rows = await this.#db.query<OperationRow>(this.#winOne, [...Object.values(toValues(only)), this.#sender])
      const [row] = rows
      const operation = row && toOperation(row)
      if (operation !== undefined) return [{ verdict: 'won', operation }]
    }
    const answers = new Map<EndingCall, EndingAnswer>()
    for (let rest = calls; rest.length > 0; rest = rest.filter((call) => !answers.has(call)))
      await this.#settleSome(rest, answers)
    return Promise.all(calls.map((call) => this.#keepIfNew(call, answers.get(call))))
  }

  /** One statement cannot write a row twice: calls for an operation or a record that is in it wait for the next. */
  async #settleSome(calls: readonly EndingCall[], answers: Map<EndingCall, EndingAnswer>): Promise<void> {
    const batch = distinct(calls)
    const rows = await this.#settle(batch)
    const byId = new Map(rows.map((row) => [row.id, row]))
    for (const call of calls) {
      const row = byId.get(call.id)
      if (batch.has(call)) answers.set(call, row === undefined ? undefined : answerOf(row, call.ending))
    }
    // Those of the others that can no longer win are told by what the batch has found: two readers bring each result.
    const settledIn = new Map([...batch].map((call) => [call.id, answers.get(call)?.operation]))
    for (const call of calls) {
      const known = settledIn.get(call.id)
      const row = byId.get(call.id)
      if (answers.has(call) || known === undefined || row === undefined || !isEnded(known)) continue
      answers.set(call, settle(known, call.ending, row.at_ms))
    }
  }

  #settle(batch: ReadonlySet<EndingCall>): Promise<readonly LockedRow[]> {
    const calls = [...batch]
    const input = JSON.stringify(calls.map(toValues))
    const records = calls.flatMap(({ id, records }) =>
      records.map((write) => ({ ...toRecordValues(write), owner: id })),
    )
    return records.length === 0
      ? this.#db.query(this.#settleMany, [input, this.#sender])
      : this.#db.query(this.#settleWithRecords, [input, this.#sender, JSON.stringify(records)])
  }

  /** Keeps a result that came too late or contradicts the first; another one may have been kept meanwhile. */
  async #keepIfNew(call: EndingCall, answer: EndingAnswer): Promise<EndingAnswer | Error> {
    let settled = answer
    for (let round = 0; round < ROUNDS; round += 1) {
      const { verdict, operation } = settled ?? {}
      if ((verdict !== 'late' && verdict !== 'conflict') || !('result' in call.ending)) return settled
      const { result } = call.ending
      const kept = verdict === 'late' ? operation?.lateResult : operation?.conflictingResult
      if (kept?.id !== result.id) return settled
      const written = await this.#db.query(this.#keep[verdict], [call.id, encodeEvent(result)])
      if (written.length > 0) return settled
      const [row] = await this.#settle(new Set([call]))
      settled = row === undefined ? undefined : answerOf(row, call.ending)
    }
    return new GatewayError('ERR_STORE_UNAVAILABLE', `The operation ${call.id} changed ${ROUNDS} times meanwhile.`)
  }
}

function answerOf(row: LockedRow, ending: Ending): EndingAnswer {
  const before = toOperation(row)
  if (before === undefined) return undefined
  const settled = settle(before, ending, row.at_ms)
  const isStale = !row.won && settled.verdict === 'won' && 'error' in ending && ending.releaseKey
  if (isStale) return { verdict: 'stale', operation: before }
  if ((settled.verdict === 'won') === row.won) return settled
  throw new GatewayError('ERR_INTERNAL', `The database and the rule disagree on who ended the operation ${row.id}.`)
}

/** The first calls, of which no two concern one operation or one record. */
function distinct(calls: readonly EndingCall[]): Set<EndingCall> {
  const batch = new Set<EndingCall>()
  const taken = new Set<string>()
  for (const call of calls) {
    const names = [`operation ${call.id}`, ...call.records.map(({ key }) => `record ${key}`)]
    if (names.some((name) => taken.has(name))) continue
    batch.add(call)
    for (const name of names) taken.add(name)
  }
  return batch
}

function toValues({ id, ending }: EndingCall) {
  const { command = null, state } = ending
  // In the order of the fields.
  return 'result' in ending
    ? { id, command, state, version: null, result: encodeEvent(ending.result), error: null, release: false }
    : {
        id,
        command,
        state,
        version: ending.ifVersion ?? null,
        result: null,
        error: encodeError(ending.error),
        release: ending.releaseKey === true,
      }
}

/** Sets what an ending changes in row `o`, by input `i` at time `t`. */
const ENDS = `state = i.state, version = o.version + 1, updated_at = t.at_ms, expires_at = t.at_ms + o.retention_ms,
  published = o.published or i.result is not null, request = null, result = i.result, error = i.error,
  idempotency = case when i.release then null else o.idempotency end`

/** When an ending wins over a row; what was ever lent may have been published, and does not give its key back. */
function winsOver(row: string): string {
  return `${row}.state = 'running' and ${row}.expires_at > t.at_ms and ${row}.late_result is null
  and not (i.release and ${row}.lease_token > 0)
  and (i.command is null or i.command = ${row}.command) and (i.version is null or i.version = ${row}.version)`
}

/** A single call that wins, as nearly all do, without a look before. */
function winSql({ operations, announce }: Names): string {
  const params = FIELDS.split(', ').map(
    (field, index) => `$${index + 1}::${field.split(' ')[1]} as ${field.split(' ')[0]}`,
  )
  return `with t as materialized (select ${NOW} as at_ms), i as materialized (select ${params.join(', ')}),
    won as (update ${operations} o set ${ENDS} from i, t where o.id = i.id and ${winsOver('o')} returning o.*, t.at_ms)
    select ${columns('won')}, won.at_ms::float8 as at_ms, ${announce}($8::text, array[won.id]) as announced from won`
}

// Two batches with the same rows lock them in one order, whatever order their plans update them in: without that they
// deadlock. Who wins is read from the locked rows, which are as they are, and not as they were when the statement began.
function settleSql({ operations, announce }: Names, records: string): string {
  return `with t as materialized (select ${NOW} as at_ms),
    i as materialized (select * from json_to_recordset($1::text::json) as x(${FIELDS})),
    locked as materialized (
      select o.* from ${operations} o where o.id in (select id from i) order by o.id for update
    ), won as (
      update ${operations} o set ${ENDS} from locked l, i, t where o.id = l.id and l.id = i.id and ${winsOver('l')}
      returning o.id
    ), announced as materialized (
      select ${announce}($2::text, array_agg(id)) as count from won
    )${records}
    select ${columns('l')}, (select at_ms from t)::float8 as at_ms, won.id is not null as won, announced.count
    from locked l cross join announced left join won on won.id = l.id`
}
