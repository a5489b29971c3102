import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import {
  advance,
  begin,
  type Ending,
  type NewOperation,
  type Operation,
  SEQUENCE_HEADER,
  type Settled,
  settle,
} from '../../core/operation.js'
import type { ChangeListener, Created, Lease, LeaseRequest, RecordWrite } from '../../core/store.js'
import { bytesOfEnding, encodeError, encodeEvent } from '../codec.js'
import { GroupCommit, type Patience } from '../group-commit.js'
import type { Argument } from './connection.js'
import { failureOf, isDataError } from './errors.js'
import { atTime, optional, type Row, toOperation } from './rows.js'
import type { Script, Scripts } from './runner.js'
import { COMPLETE, CREATE, FIND, LEASE, MARK, PROGRESS, READ, SWEEP } from './scripts/index.js'

/** What the operations need of the store around them. */
export interface OperationsOptions {
  readonly scripts: Scripts
  readonly maxBatch: number
  readonly patience: Patience
  /** A record write as the scripts take it. */
  toArguments(write: RecordWrite): readonly Argument[]
  /** Told of every change that is made here. */
  readonly onChange: ChangeListener
}

interface Completion {
  readonly id: string
  readonly ending: Ending
  readonly records: readonly RecordWrite[]
}

interface Advance {
  readonly id: string
  readonly event: EventMessage
}

/** What each script answers: the time, and something for each of its operations. */
type Reply<Answer> = readonly [now: number, ...Answer[]]

/** A script runs alone on the server, so one that sweeps or marks takes no more than so many at a time. */
const CHUNK = 100

/** The operations of a store: calls that wait at the same time run in one script of their kind. */
export class Operations {
  readonly #options: OperationsOptions
  readonly #creates: GroupCommit<NewOperation, Created>
  readonly #completes: GroupCommit<Completion, Settled | undefined>
  readonly #advances: GroupCommit<Advance, Operation | undefined>
  readonly #reads: GroupCommit<string, Operation | undefined>

  constructor(options: OperationsOptions) {
    const { maxBatch, patience } = options
    const group = { maxBatch, patience, isDataError }
    this.#options = options
    this.#creates = new GroupCommit({
      flush: (items) => this.#create(items),
      bytesOf: ({ request }) => request.body.byteLength,
      ...group,
    })
    this.#completes = new GroupCommit({
      flush: (items) => this.#complete(items),
      bytesOf: (completion) => bytesOfEnding(completion),
      ...group,
    })
    this.#advances = new GroupCommit({
      flush: (items) => this.#advance(items),
      bytesOf: ({ event }) => event.body.byteLength,
      ...group,
    })
    this.#reads = new GroupCommit({ flush: (ids) => this.#read(ids), ...group })
  }

  create(init: NewOperation): Promise<Created> {
    return this.#creates.run(init)
  }

  complete(id: string, ending: Ending, records: readonly RecordWrite[]): Promise<Settled | undefined> {
    return this.#completes.run({ id, ending, records })
  }

  progress(id: string, event: EventMessage): Promise<Operation | undefined> {
    return this.#advances.run({ id, event })
  }

  get(id: string): Promise<Operation | undefined> {
    return this.#reads.run(id)
  }

  async find(key: string): Promise<Operation | undefined> {
    const [now, answer] = (await this.#options.scripts.run(FIND, [optional(key)])) as Reply<[string, Row] | null>
    return answer == null ? undefined : atTime(toOperation(...answer), now)
  }

  async lease({ olderThanMs, leaseMs, limit }: LeaseRequest): Promise<Lease> {
    const args = [olderThanMs, leaseMs, limit].map(String)
    const [token, ...rows] = (await this.#options.scripts.run(LEASE, args)) as Reply<[string, Row]>
    return { token, operations: rows.map(([id, row]) => toOperation(id, row)) }
  }

  async mark(ids: readonly string[], token: number | undefined): Promise<void> {
    for (let at = 0; at < ids.length; at += CHUNK)
      await this.#options.scripts.run(MARK, [String(token ?? ''), ...ids.slice(at, at + CHUNK)])
  }

  async sweep(limit: number): Promise<readonly Operation[]> {
    const { scripts, onChange } = this.#options
    const expired: Operation[] = []
    for (let isMore = true; isMore && expired.length < limit; ) {
      const count = Math.min(limit - expired.length, CHUNK)
      const [, ...rows] = (await scripts.run(SWEEP, [String(count)])) as Reply<[string, Row]>
      for (const [id, row] of rows) expired.push(toOperation(id, row))
      isMore = rows.length === count
    }
    for (const operation of expired) onChange(operation.id, operation)
    return expired
  }

  #create(items: readonly NewOperation[]): Promise<(Created | Error)[]> {
    type Answer = 1 | [flag: number, id: string, row: Row]
    return this.#each(items, [CREATE, toCreateArguments], (init, answer: Answer, now) => {
      if (answer === 1) return { created: true, operation: begin(init, now) }
      const [flag, id, row] = answer
      return { created: flag === 1, operation: toOperation(id, row) }
    })
  }

  #complete(items: readonly Completion[]): Promise<(Settled | undefined | Error)[]> {
    const { toArguments, onChange } = this.#options
    type Answer = [won: number, before: Row] | null
    const toAll = (item: Completion) => toCompleteArguments(item, toArguments)
    return this.#each(items, [COMPLETE, toAll], ({ id, ending }, answer: Answer, now) => {
      if (answer === null) return undefined
      const [won, before] = answer
      // The script has done by its own code what this says: whichever was wrong, nobody may go on with it.
      const operation = toOperation(id, before)
      const settled = settle(operation, ending, now)
      const isStale = won === 0 && settled.verdict === 'won' && 'error' in ending && ending.releaseKey
      if (isStale) return { verdict: 'stale', operation }
      if ((settled.verdict === 'won') !== (won === 1)) throw new GatewayError('ERR_INTERNAL', 'The verdicts differ.')
      if (won === 1) onChange(id, settled.operation)
      return settled
    })
  }

  #advance(items: readonly Advance[]): Promise<(Operation | undefined | Error)[]> {
    return this.#each(items, [PROGRESS, toProgressArguments], ({ id, event }, before: Row | null, now) => {
      const operation = before === null ? undefined : advance(toOperation(id, before), event, now)
      if (operation !== undefined) this.#options.onChange(id, operation)
      return operation
    })
  }

  #read(ids: readonly string[]): Promise<(Operation | undefined | Error)[]> {
    return this.#each(ids, [READ, (id) => [id]], (id, row: Row | null, now) =>
      row === null ? undefined : atTime(toOperation(id, row), now),
    )
  }

  /** The answers of the items; what cannot be read of one spoils no other. What has not fitted is sent again. */
  async #each<Item, Answer, Out>(
    items: readonly Item[],
    [script, toArguments]: readonly [Script, (item: Item) => readonly Argument[]],
    toOut: (item: Item, answer: Answer, now: number) => Out,
  ): Promise<(Out | Error)[]> {
    const outs: (Out | Error)[] = []
    while (outs.length < items.length) {
      const rest = items.slice(outs.length)
      let reply: Reply<Answer>
      try {
        reply = (await this.#options.scripts.run(script, rest.flatMap(toArguments))) as Reply<Answer>
      } catch (error) {
        // Those before are done, whatever becomes of these.
        if (outs.length === 0) throw error
        return [...outs, ...rest.map(() => toError(error))]
      }
      const [now, ...answers] = reply
      outs.push(...answers.map((answer, index) => outOf(answer, () => toOut(rest[index] as Item, answer, now))))
      if (answers.length === 0) break
    }
    return outs
  }
}

function outOf<Out>(answer: unknown, toOut: () => Out): Out | Error {
  try {
    return failureOf(answer) ?? toOut()
  } catch (error) {
    return toError(error)
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function toCreateArguments(init: NewOperation): Argument[] {
  const { id, command, principal, request, ttlMs, retentionMs, idempotency } = init
  return [
    ...[id, command, optional(principal), String(ttlMs), String(retentionMs), optional(request.key)],
    ...[optional(idempotency?.key), optional(idempotency?.fingerprint), encodeEvent(request)],
  ]
}

function toCompleteArguments(
  { id, ending, records }: Completion,
  toArguments: OperationsOptions['toArguments'],
): Argument[] {
  const { state, command } = ending
  const event = 'result' in ending ? ending.result : undefined
  const { error, ifVersion, releaseKey } = 'error' in ending ? ending : {}
  return [
    ...[id, state, optional(command), String(ifVersion ?? ''), releaseKey ? '1' : '0'],
    error === undefined ? '' : encodeError(error),
    ...(event === undefined ? ['', '', ''] : [event.id, event.type, encodeEvent(event)]),
    String(records.length),
    ...records.flatMap(toArguments),
  ]
}

function toProgressArguments({ id, event }: Advance): Argument[] {
  const number = event.headers[SEQUENCE_HEADER] ?? ''
  // What is no number is counted by the store.
  return [id, event.id, String(event.time), /^\d{1,15}$/.test(number) ? number : '', encodeEvent(event)]
}
