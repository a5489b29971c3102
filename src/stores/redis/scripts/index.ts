import { type Script, script } from '../runner.js'
import * as changes from './changes.js'
import * as operations from './operations.js'
import * as outbox from './outbox.js'
import * as records from './records.js'

// By the promise of the store every call may be repeated; those that give each thing out once are not, as the answer
// that got lost would be the only one.
const REPEATABLE = { isRepeatable: true }

/** Creates operations, each once for its idempotency key. */
export const CREATE = script(operations.CREATE, REPEATABLE)
/** Finds operations by their idempotency keys. */
export const FIND = script(operations.FIND, REPEATABLE)
/** Ends operations by compare-and-set. */
export const COMPLETE = script(operations.COMPLETE, REPEATABLE)
/** Notes progress of running operations. */
export const PROGRESS = script(operations.PROGRESS, REPEATABLE)
/** Reads operations by their ids. */
export const READ = script(operations.READ, REPEATABLE)
/** Ends what is past its time. */
export const SWEEP = script(operations.SWEEP)
/** Lends request events that are not known to be published, with a token that fences. */
export const LEASE = script(outbox.LEASE)
/** Marks request events as published. */
export const MARK = script(outbox.MARK, REPEATABLE)
/** Writes a record, if its version is the expected one. */
export const PUT = script(records.PUT, REPEATABLE)
/** Reads a record. */
export const GET = script(records.GET, { asBytes: true, isRepeatable: true })
/** Deletes a record. */
export const DELETE = script(records.DELETE)
/** Lists records by the beginning of their keys. */
export const LIST = script(records.LIST, { asBytes: true, isRepeatable: true })
/** Drops records that are past their time. */
export const PURGE_RECORDS = script(records.PURGE_RECORDS, REPEATABLE)
/** Tells what has changed since a position. */
export const POLL = script(changes.POLL, REPEATABLE)

/** All of them, for the start to bring to the server. */
export const SCRIPTS: readonly Script[] = [
  ...[CREATE, FIND, COMPLETE, PROGRESS, READ, SWEEP, LEASE, MARK],
  ...[PUT, GET, DELETE, LIST, PURGE_RECORDS, POLL],
]
