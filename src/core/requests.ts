import type { Reply, RequestOptions } from './command.js'
import type { CommandPlan } from './definition.js'
import { GatewayError, isGatewayError, toGatewayError } from './errors.js'
import { toEvent, toMessage } from './event.js'
import { fingerprint } from './fingerprint.js'
import { createId } from './ids.js'
import type { Because } from './lifecycle.js'
import { isEnded, type Operation } from './operation.js'
import { checkWait } from './options.js'
import type { Outbox } from './outbox.js'
import type { GatewayParts } from './parts.js'
import type { PendingRequest, WaitEnd } from './pending-requests.js'
import { validateData } from './schema.js'
import type { NewOperation } from './store.js'

/** One request on its way through: what was decided at its admission. */
interface Admitted {
  readonly command: CommandPlan
  readonly options: RequestOptions
  readonly operation: NewOperation
  /** When the wait ends, on the monotonic scale. */
  readonly until: number
  readonly because: Because
}

const LEFT = { code: 'ERR_OPERATION_CANCELED', message: 'The caller left before the request was published.' } as const
const CLOSED = { code: 'ERR_CLOSED', message: 'The gateway was closed before the request was published.' } as const

type Started = RequestOptions & { readonly startedAt: number }

/** Takes requests through admission, record, publish and wait. */
export class Requests {
  readonly #parts: GatewayParts
  readonly #outbox: Outbox

  constructor(parts: GatewayParts, outbox: Outbox) {
    this.#parts = parts
    this.#outbox = outbox
  }

  /**
   * Publishes the request event and waits for its result.
   * @throws GatewayError when the request is refused; the reason of `signal` when the caller leaves.
   */
  request(command: CommandPlan, data: unknown, options: RequestOptions): Promise<Reply> {
    const { settings } = this.#parts
    options.signal?.throwIfAborted()
    const startedAt = options.startedAt ?? settings.clock.monotonic()
    const start = (input: unknown) => this.#start(this.#admit(command, input, { ...options, startedAt }))
    const checked = validateData(settings.events[command.name], data)
    return checked instanceof Promise ? checked.then(start) : start(checked)
  }

  #admit(command: CommandPlan, input: unknown, options: Started): Admitted {
    const { settings, open, pending, storeKind, transportBreaker } = this.#parts
    if (!transportBreaker.admits()) throw this.#shed(transportBreaker.refusal(), command, options)
    const operation = this.#describe(command, input, options)
    const asked = options.waitMs ?? command.waitMs ?? settings.waitMs
    checkWait(asked)
    const overloaded = pending.size >= settings.maxPending
    const deferrable = storeKind !== 'none' && options.deferrable !== false
    try {
      if (overloaded && !deferrable) throw overload(settings.maxPending)
      const owner = { command: command.name, principal: options.principal, maxPerCommand: command.maxOpen }
      open.open(operation.id, owner, settings.clock.monotonic() + settings.operationTtlMs)
    } catch (error) {
      throw this.#shed(error, command, options)
    }
    const because = overloaded ? 'overload' : asked === 0 ? 'preference' : 'timeout'
    const until = options.startedAt + (overloaded ? 0 : asked)
    return { command, options, operation, until, because }
  }

  #describe(command: CommandPlan, input: unknown, options: RequestOptions): NewOperation {
    const { settings } = this.#parts
    const { clock } = settings
    const { principal, headers, traceparent, tracestate, tenant } = options
    const id = createId(clock.now())
    const key = command.definition.key?.(input)
    const type = command.name
    const source = settings.service
    const envelope = { id, correlationId: id, type, source, key, headers, traceparent, tracestate, tenant, data: input }
    const request = toMessage(envelope, clock)
    const { operationTtlMs: ttlMs, retentionMs } = settings
    return {
      id,
      command: type,
      principal,
      request,
      ttlMs,
      retentionMs,
      idempotency: idempotencyOf(type, input, options),
    }
  }

  async #start(admitted: Admitted): Promise<Reply> {
    const { pending, open, lifecycle, release } = this.#parts
    const { id, request } = admitted.operation
    // Registered before anything is written: a fast worker answers before the confirmation of the publish arrives.
    const waiting = pending.add(id)
    waiting.awaitConfirmation()
    try {
      const { created, operation } = await this.#create(admitted)
      if (!created) {
        open.close(id)
        waiting.end({ kind: 'shutdown' })
        return await this.#join(admitted, operation)
      }
      lifecycle.note('created', { operation })
      waiting.leaveOn(admitted.options)
      if (waiting.isOpen) this.#outbox.send(id, request)
      else await this.#takeBack(id, await waiting.promise)
      return await this.#await(waiting, admitted, operation)
    } finally {
      waiting.end({ kind: 'shutdown' })
      release(id)
    }
  }

  async #create({ operation }: Admitted) {
    try {
      return await this.#parts.store.create(operation)
    } catch (error) {
      this.#parts.open.close(operation.id)
      const { code, message, details } = toGatewayError(error)
      if (code !== 'ERR_STORE_UNAVAILABLE' || details.outcome === 'not-accepted') throw error
      // The record may have been written all the same; the relay would then publish it.
      throw new GatewayError(code, message, { cause: error, operationId: operation.id, outcome: 'unknown' })
    }
  }

  /** The caller left, or the gateway shuts down, before the request was published: nothing is sent. */
  async #takeBack(id: string, { kind }: WaitEnd): Promise<void> {
    await this.#parts.settle(id, { state: 'canceled', error: kind === 'gone' ? LEFT : CLOSED, releaseKey: true })
  }

  async #join(admitted: Admitted, existing: Operation): Promise<Reply> {
    const { pending, lifecycle, store } = this.#parts
    const { idempotency } = admitted.operation
    if (existing.idempotency?.fingerprint !== idempotency?.fingerprint) {
      throw new GatewayError('ERR_IDEMPOTENCY_MISMATCH', 'The key belongs to a request with other content.')
    }
    lifecycle.note('joined', { operation: existing })
    if (isEnded(existing)) return replyOf(existing, true)
    if (admitted.command.definition.onConcurrent === 'conflict') {
      const details = { operationId: existing.id }
      throw new GatewayError('ERR_IDEMPOTENCY_IN_USE', 'The first request with this key is still running.', details)
    }
    const waiting = pending.add(existing.id)
    try {
      // Registered first, then read again: an end in between is seen by one of the two.
      const operation = (await store.get(existing.id)) ?? existing
      if (isEnded(operation)) return replyOf(operation)
      this.#awaitConfirmation(waiting, operation)
      waiting.leaveOn(admitted.options)
      return await this.#await(waiting, admitted, operation)
    } finally {
      waiting.end({ kind: 'shutdown' })
    }
  }

  /** A 202 may not be sent before the publish of the first request is confirmed or known to be unknown. */
  #awaitConfirmation(waiting: PendingRequest, operation: Operation): void {
    const { open, settings, deadlines, pending } = this.#parts
    const isUncertainHere = this.#outbox.isInFlight(operation.id) || pending.awaitsConfirmation(operation.id)
    const isElsewhere = !open.has(operation.id)
    const left = operation.createdAt + settings.publishTimeoutMs - settings.clock.now()
    const isUncertainElsewhere = isElsewhere && !operation.published && left > 0
    if (isUncertainHere || isUncertainElsewhere) waiting.awaitConfirmation()
    if (isUncertainElsewhere) deadlines.add(left, () => waiting.confirm('confirmed'))
  }

  async #await(waiting: PendingRequest, admitted: Admitted, operation: Operation): Promise<Reply> {
    waiting.limit(admitted.until - this.#parts.settings.clock.monotonic())
    const end = await waiting.promise
    if (end.kind === 'changed') return replyOf(end.operation)
    if (end.kind === 'gone') {
      this.#parts.lifecycle.note('gone', { id: operation.id })
      throw end.reason
    }
    const latest = await this.#readAgain(operation)
    return isEnded(latest) ? replyOf(latest) : this.#defer(latest, becauseOf(end, admitted.because))
  }

  /** The result may be there although nobody was woken; when the store cannot say, the operation goes on. */
  async #readAgain(operation: Operation): Promise<Operation> {
    try {
      return (await this.#parts.store.get(operation.id)) ?? operation
    } catch (error) {
      this.#parts.lifecycle.error(error)
      return operation
    }
  }

  #defer(operation: Operation, because: Because): Reply {
    this.#parts.lifecycle.note('deferred', { operation, because })
    return { kind: 'accepted', operation, because }
  }

  #shed(error: unknown, command: CommandPlan, { principal }: RequestOptions): unknown {
    if (isGatewayError(error))
      this.#parts.lifecycle.note('shed', { code: error.code, command: command.name, principal })
    return error
  }
}

function becauseOf(end: WaitEnd, byDeadline: Because): Because {
  return end.kind === 'unconfirmed' || end.kind === 'shutdown' ? end.kind : byDeadline
}

/** What an ended operation means for whoever asked for it. */
export function replyOf(operation: Operation, replayed?: true): Reply {
  const { result } = operation
  const mark = replayed && { replayed }
  if (result === undefined) return { kind: 'ended', operation, ...mark }
  return { kind: 'completed', event: toEvent(result), operation, ...mark }
}

function overload(limit: number): GatewayError {
  const text = `${limit} requests are waiting, which is the limit; nothing was started.`
  return new GatewayError('ERR_OVERLOADED', text, { outcome: 'not-accepted' })
}

function idempotencyOf(command: string, input: unknown, { idempotencyKey, principal }: RequestOptions) {
  if (idempotencyKey === undefined) return undefined
  return { key: JSON.stringify([principal ?? null, command, idempotencyKey]), fingerprint: fingerprint(input) }
}
