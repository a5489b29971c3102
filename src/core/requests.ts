import type { Reply, RequestOptions } from './command.js'
import type { CommandPlan } from './definition.js'
import { GatewayError, isGatewayError, toGatewayError } from './errors.js'
import { toEvent, toMessage } from './event.js'
import { fingerprint } from './fingerprint.js'
import { createId } from './ids.js'
import type { Because } from './lifecycle.js'
import { isEnded, type NewOperation, type Operation } from './operation.js'
import { checkWait } from './options.js'
import type { Outbox } from './outbox.js'
import type { GatewayParts } from './parts.js'
import type { PendingRequest, WaitEnd } from './pending-requests.js'
import { validateData } from './schema.js'

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

/** An answer comes 250 ms after its time at the latest, however slow the store is. */
const LAST_LOOK_MS = 100

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
    const start = (input: unknown) => this.#run(command, input, { ...options, startedAt })
    const checked = validateData(settings.events[command.name], data)
    return checked instanceof Promise ? checked.then(start) : start(checked)
  }

  /** What a retry has joined may be taken back by the first request; the retry is then the first one itself. */
  async #run(command: CommandPlan, input: unknown, options: Started): Promise<Reply> {
    let reply: Reply | undefined
    while (reply === undefined) reply = await this.#start(this.#admit(command, input, options))
    return reply
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

  async #start(admitted: Admitted): Promise<Reply | undefined> {
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
      else await this.#takeBack(admitted.operation, await waiting.promise)
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
      // The record may have been written all the same; the relay would then publish it, and retries may have joined it.
      this.#parts.pending.confirm(operation.id, 'unconfirmed')
      throw new GatewayError(code, message, { cause: error, operationId: operation.id, outcome: 'unknown' })
    }
  }

  /** The caller left, or the gateway shuts down, before the request was published: nothing is sent. */
  async #takeBack({ id, request }: NewOperation, { kind }: WaitEnd): Promise<void> {
    const error = kind === 'gone' ? LEFT : CLOSED
    this.#outbox.block(id, request)
    try {
      await this.#parts.settle(id, { state: 'canceled', error, releaseKey: true })
      this.#outbox.unblock(id, request)
    } catch (cause) {
      // The operation stands then, and the relay publishes it.
      this.#parts.lifecycle.error(cause)
      this.#parts.pending.confirm(id, 'unconfirmed')
    }
  }

  /** Gives undefined when the operation was taken back. */
  async #join(admitted: Admitted, existing: Operation): Promise<Reply | undefined> {
    const { pending, lifecycle } = this.#parts
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
      const operation = await this.#readAgain(existing)
      this.#awaitConfirmation(waiting, operation)
      waiting.leaveOn(admitted.options)
      const reply = isEnded(operation) ? replyOf(operation) : await this.#await(waiting, admitted, operation)
      return wasTakenBack(reply.operation) ? undefined : reply
    } finally {
      waiting.end({ kind: 'shutdown' })
    }
  }

  /** A 202 may not be sent before the publish of the first request is confirmed or known to be unknown. */
  #awaitConfirmation(waiting: PendingRequest, operation: Operation): void {
    const { open, settings, deadlines, pending } = this.#parts
    const { id, createdAt, published } = operation
    if (this.#outbox.isInFlight(id) || (open.has(id) && pending.awaitsConfirmation(id))) waiting.awaitConfirmation()
    if (open.has(id) || published) return
    // Another instance does not say when its publish is confirmed. Its clock, or the store's, may be another one, so
    // their times are believed within limits.
    const left = settings.publishTimeoutMs - Math.max(settings.clock.now() - createdAt, 0)
    if (left <= 0) return
    waiting.awaitConfirmation()
    deadlines.add(left, () => waiting.confirm('confirmed'))
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

  /** The result may be there although nobody was woken; when the store cannot say so soon, the operation goes on. */
  #readAgain(operation: Operation): Promise<Operation> {
    const { store, deadlines, lifecycle } = this.#parts
    return new Promise((resolve) => {
      const deadline = deadlines.add(LAST_LOOK_MS, () => resolve(operation))
      const settle = (latest: Operation | undefined) => {
        deadlines.cancel(deadline)
        resolve(latest ?? operation)
      }
      store.get(operation.id).then(settle, (error: unknown) => {
        lifecycle.error(error)
        settle(undefined)
      })
    })
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

/** Only what is taken back loses its key without having failed. */
function wasTakenBack({ state, idempotency }: Operation): boolean {
  return state === 'canceled' && idempotency === undefined
}

/** What an ended operation means for whoever asked for it. */
function replyOf(operation: Operation, replayed?: true): Reply {
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
