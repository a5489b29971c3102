import type { CommandPlan } from './definition.js'
import { GatewayError } from './errors.js'
import type { EventMessage } from './event.js'
import { normaliseId } from './ids.js'
import { nameResult } from './naming.js'
import { isEnded, type Operation } from './operation.js'
import type { GatewayParts } from './parts.js'
import type { Delivery, Settlement } from './transport.js'

const PREFIX = 'orphan/'
const LIMIT = 1000
const TTL_MS = 3_600_000
const REPORTED_LIMIT = 100
const ADOPT_EVERY_MS = 5000
const PAGE = 100

/**
 * Keeps results that belong to nobody for an hour: for whoever looks for the cause, and for an instance that can record
 * them. Of a command that is being rolled out the shared reader of an older instance may get the result.
 */
export class Orphans {
  readonly #parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle' | 'commands' | 'transport'>
  /** Undeclared types that have been reported. */
  readonly #reported = new Set<string>()
  #hasWarned = false
  #since = 0
  #kept = 0
  #adoptedAt = 0
  /** Where the next look begins. */
  #after = ''

  constructor(parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle' | 'commands' | 'transport'>) {
    this.#parts = parts
  }

  /** Best effort, and bounded: a topic full of somebody else's results must not push out what is ours. Never rejects. */
  async keep(id: string, { body, ...envelope }: EventMessage): Promise<void> {
    const { store, settings, lifecycle } = this.#parts
    lifecycle.note('orphan', { id, type: envelope.type })
    const now = settings.clock.monotonic()
    if (now - this.#since > TTL_MS) {
      this.#since = now
      this.#kept = 0
    }
    if (this.#kept >= LIMIT) return
    this.#kept += 1
    const value = Buffer.from(JSON.stringify({ ...envelope, body: Buffer.from(body).toString('base64') }))
    const record = { key: `${PREFIX}${id}/${envelope.id}`, value, ttlMs: TTL_MS }
    await store.records.put(record).catch((error: unknown) => lifecycle.error(error))
  }

  /** Keeps what is no result of its operation's command, as far as this instance knows. */
  async keepUnexpected(operation: Operation, message: EventMessage): Promise<void> {
    this.#parts.lifecycle.note('unexpected', { id: operation.id, type: message.type })
    this.#report(operation.command, message.type)
    if (!isEnded(operation)) await this.keep(operation.id, message)
  }

  /** Counts what is of nobody here. */
  noteForeign(id: string, { type, reply }: EventMessage, { isDirect }: Delivery): void {
    const { lifecycle, transport, settings } = this.#parts
    lifecycle.note('foreign', { id, type })
    if (transport.isSelective !== true || isDirect || this.#hasWarned || type === '' || reply !== undefined) return
    this.#hasWarned = true
    const text = `${type} is no result of any command here, nor is its operation in this store. Does a service with another store have the same name, "${settings.service}"? Each would take results of the other: give it one of its own (option service).`
    lifecycle.error(new GatewayError('ERR_CONFIG', text))
  }

  /** Records those for which an operation, or an instance with its command, is there by now. To be called often. */
  async adopt(record: (message: EventMessage) => Promise<Settlement>): Promise<void> {
    const { store, settings } = this.#parts
    const now = settings.clock.monotonic()
    if (now - this.#adoptedAt < ADOPT_EVERY_MS) return
    this.#adoptedAt = now
    const page = await store.records.list(PREFIX, { after: this.#after, limit: PAGE })
    this.#after = page.length < PAGE ? '' : (page.at(-1)?.key ?? '')
    for (const { key, value } of page) {
      const message = fromRecord(value)
      if (!(await this.#isExpected(message)) || (await record(message)) === 'requeue') continue
      await store.records.delete(key)
    }
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
