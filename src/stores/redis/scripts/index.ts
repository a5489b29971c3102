import { type Script, script } from '../runner.js'
import * as changes from './changes.js'
import * as operations from './operations.js'
import * as outbox from './outbox.js'
import * as records from './records.js'

// By the promise of the store every call may be repeated; those that give each thing out once are not, as the answer
// that got lost would be the only one.
const REPEATABLE = { isRepeatable: true }

export const CREATE = script(operations.CREATE, REPEATABLE)
export const FIND = script(operations.FIND, REPEATABLE)
export const COMPLETE = script(operations.COMPLETE, REPEATABLE)
export const PROGRESS = script(operations.PROGRESS, REPEATABLE)
export const READ = script(operations.READ, REPEATABLE)
export const SWEEP = script(operations.SWEEP)
export const LEASE = script(outbox.LEASE)
export const MARK = script(outbox.MARK, REPEATABLE)
export const PUT = script(records.PUT, REPEATABLE)
export const GET = script(records.GET, { asBytes: true, isRepeatable: true })
export const DELETE = script(records.DELETE)
export const LIST = script(records.LIST, { asBytes: true, isRepeatable: true })
export const SWEEP_RECORDS = script(records.SWEEP_RECORDS, REPEATABLE)
export const POLL = script(changes.POLL, REPEATABLE)

/** All of them, for the start to bring to the server. */
export const SCRIPTS: readonly Script[] = [
  ...[CREATE, FIND, COMPLETE, PROGRESS, READ, SWEEP, LEASE, MARK],
  ...[PUT, GET, DELETE, LIST, SWEEP_RECORDS, POLL],
]
