import type { CommandPlan } from './definition.js'
import { GatewayError, toGatewayError } from './errors.js'
import type { EventMessage } from './event.js'
import { normaliseId } from './ids.js'
import { nameResult } from './naming.js'
import { isEnded, type Operation } from './operation.js'
import type { GatewayParts } from './parts.js'
import type { StoredRecord } from './store.js'
import type { Delivery, Settlement } from './transport.js'

const PREFIX = 'orphan/'
const LIMIT = 1000
const TTL_MS = 3_600_000
const REPORTED_LIMIT = 100
const LOOK_EVERY_MS = 5000
/** How long one look may take, so that the rest of the housekeeping comes to its turn. */
const LOOK_MS = 500
const PAGE = 100

/**
 * Keeps results that nobody here can use for an hour: for whoever looks for the cause, and for an instance that can
 * record them. Of a command that is being rolled out the shared reader of an older instance may get the result.
 */
export class Orphans {
  readonly #parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle' | 'commands' | 'transport'>
  /** Undeclared types that have been reported. */
  readonly #reported = new Set<string>()
  #hasWarned = false
  #since = 0
  #kept = 0
  #nextLook = 0
  /** Where the next look begins. */
  #after = ''

  constructor(parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle' | 'commands' | 'transport'>) {
    this.#parts = parts
  }

  /**
   * Keeps what has the id of no operation. Best effort, and bounded: a topic full of somebody else's results must not push
   * out what is ours. Never rejects.
   */
  async keepUnknown(id: string, message: EventMessage): Promise<void> {
    const { settings, lifecycle } = this.#parts
    lifecycle.note('orphan', { id, type: message.type })
    const now = settings.clock.monotonic()
    if (now - this.#since > TTL_MS) {
      this.#since = now
      this.#kept = 0
    }
    this.#kept += 1
    if (this.#kept === LIMIT + 1) {
      const text = `More than ${LIMIT} results in an hour have ids of no operation in this store: no more of them are kept.`
      lifecycle.error(new GatewayError('ERR_UNEXPECTED_RESULT', text))
    }
    if (this.#kept > LIMIT) return
    await this.#put(id, message).catch((error: unknown) => lifecycle.error(error))
  }

  /**
   * Keeps what is no result of its operation's command, as far as this instance knows: as many types of each as come, so
   * that there are no more of them than operations that run. Rejects while the store is away, as it may be a result.
   */
  async keepUnexpected(operation: Operation, message: EventMessage, { isForSeveral }: Delivery): Promise<void> {
    const { lifecycle, commands } = this.#parts
    const note = { id: operation.id, type: message.type }
    if (isForSeveral && !commands.has(operation.command)) return lifecycle.note('foreign', note)
    lifecycle.note('unexpected', note)
    this.#report(operation.command, message.type)
    if (isEnded(operation)) return
    lifecycle.note('orphan', note)
    try {
      await this.#put(operation.id, message)
    } catch (error) {
      if (toGatewayError(error).code === 'ERR_STORE_UNAVAILABLE') throw error
      lifecycle.error(error)
    }
  }

  /** Counts what is of nobody here. */
  noteForeign(id: string, { type, reply }: EventMessage, { isDirect, isForSeveral }: Delivery): void {
    const { lifecycle, transport, settings } = this.#parts
    lifecycle.note('foreign', { id, type })
    const isTelling = transport.isSelective === true && !isDirect && !isForSeveral && type !== '' && reply === undefined
    if (!isTelling || this.#hasWarned) return
    this.#hasWarned = true
    const text = `${type} is no result of any command here, nor is its operation in this store. Does a service with another store have the same name, "${settings.service}"? Each would take results of the other: give it one of its own (option service).`
    lifecycle.error(new GatewayError('ERR_CONFIG', text))
  }

  /**
   * Records those for which an operation, or an instance with its command, is there by now. To be called every second; it
   * looks every five, and goes on at once where more are left than it could look at in its time.
   */
  async adopt(record: (message: EventMessage) => Promise<Settlement>): Promise<void> {
    const { clock } = this.#parts.settings
    const now = clock.monotonic()
    if (now < this.#nextLook) return
    this.#nextLook = now + LOOK_EVERY_MS
    let isMore = true
    while (isMore && clock.monotonic() < now + LOOK_MS) isMore = await this.#adoptPage(record)
    if (isMore) this.#nextLook = now
  }

  async #adoptPage(record: (message: EventMessage) => Promise<Settlement>): Promise<boolean> {
    const page = await this.#parts.store.records.list(PREFIX, { after: this.#after, limit: PAGE })
    const isMore = page.length === PAGE
    const last = page.at(-1)?.key ?? ''
    const operations = new Map<string, StoredRecord[]>()
    for (const kept of page) {
      const [id = ''] = kept.key.slice(PREFIX.length).split('/', 1)
      operations.set(id, [...(operations.get(id) ?? []), kept])
    }
    await Promise.all([...operations.values()].map((several) => this.#adoptInOrder(several, record)))
    this.#after = isMore ? last : ''
    return isMore
  }

  async #adoptInOrder(
    several: readonly StoredRecord[],
    record: (message: EventMessage) => Promise<Settlement>,
  ): Promise<void> {
    for (const { key, value } of several) {
      const message = fromRecord(value)
      if (!(await this.#isExpected(message)) || (await record(message)) === 'requeue') continue
      await this.#parts.store.records.delete(key)
    }
  }

  /** The first of a type counts, as it would have for the operation; the values of a list all do. */
  async #put(id: string, { body, ...envelope }: EventMessage): Promise<void> {
    const value = Buffer.from(JSON.stringify({ ...envelope, body: Buffer.from(body).toString('base64') }))
    const key = `${PREFIX}${id}/${envelope.reply === undefined ? envelope.type : envelope.id}`
    await this.#parts.store.records.put({ key, value, ttlMs: TTL_MS, ifVersion: 0 })
  }

  async #isExpected(message: EventMessage): Promise<boolean> {
    const { store, commands } = this.#parts
    const operation = await store.get(normaliseId(message.correlationId) ?? '')
    const plan = operation && commands.get(operation.command)
    return plan !== undefined && isResult(plan, message)
  }

  /** Once per type: it is most often a slip of the pen, and would else show only as a request that times out. */
  #report(command: string, type: string): void {
    if (this.#reported.has(type) || this.#reported.size >= REPORTED_LIMIT) return
    this.#reported.add(type)
    const plan = this.#parts.commands.get(command)
    const what = type || 'An answer without a type'
    const text =
      plan === undefined
        ? `${what} is kept for an hour for an instance that has the command ${command}, which this one has not.`
        : `${what} is no result of ${command}; there are: ${plan.resultTypes.join(', ')}.`
    this.#parts.lifecycle.error(new GatewayError('ERR_UNEXPECTED_RESULT', text))
  }
}

function isResult(plan: CommandPlan, message: EventMessage): boolean {
  try {
    return nameResult(plan, message) !== undefined
  } catch {
    // Its operation fails by that, which only recording it tells.
    return true
  }
}

function fromRecord(value: Uint8Array): EventMessage {
  const { body, headers, ...envelope } = JSON.parse(Buffer.from(value).toString()) as EventMessage & { body: string }
  return { ...envelope, headers: Object.assign(Object.create(null), headers), body: Buffer.from(body, 'base64') }
}
