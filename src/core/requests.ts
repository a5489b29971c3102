import { Admission, type Admitted, type Asked, type Started } from './admission.js'
import type { Reply, RequestOptions } from './command.js'
import { noteCreation } from './creations.js'
import type { CommandPlan } from './definition.js'
import { GatewayError, isGatewayError, toGatewayError } from './errors.js'
import { within } from './in-time.js'
import { isEnded, type Operation } from './operation.js'
import { configError } from './options.js'
import type { Outbox } from './outbox.js'
import type { GatewayParts } from './parts.js'
import type { PendingRequest } from './pending-request.js'
import { Replies, replyOf, type Settle, Wait } from './replies.js'
import { validateData } from './schema.js'
import type { Created } from './store.js'

const LEFT = { code: 'ERR_OPERATION_CANCELED', message: 'The caller left before the request was published.' } as const
/** How long a refusal waits for whether its key is known. */
const LOOKUP_MS = 100
/** Clocks may be read a moment apart. */
const CLOCK_GRAIN_MS = 1
const CLOSED = { code: 'ERR_CLOSED', message: 'The gateway was closed before the request was published.' } as const

/** A request from its admission to its wait. */
interface Begun {
  readonly admitted: Admitted
  readonly waiting: PendingRequest
  readonly settle: Settle
}

/** Takes requests through admission, record, publish and wait. */
export class Requests {
  readonly #parts: GatewayParts
  readonly #outbox: Outbox
  readonly #admission: Admission
  readonly #replies: Replies

  constructor(parts: GatewayParts, outbox: Outbox) {
    this.#parts = parts
    this.#outbox = outbox
    this.#admission = new Admission(parts)
    this.#replies = new Replies(parts)
  }

  /**
   * Publishes the request event and waits for its result.
   * @throws GatewayError when the request is refused; the reason of `signal` when the caller leaves.
   */
  request(command: CommandPlan, data: unknown, options: RequestOptions): Promise<Reply> {
    const { settings } = this.#parts
    options.signal?.throwIfAborted()
    const now = settings.clock.monotonic()
    const startedAt = options.startedAt ?? now
    if (!(startedAt >= 0 && startedAt <= now + CLOCK_GRAIN_MS))
      throw configError('startedAt', startedAt, "a time of the clock's monotonic() that is not in the future")
    const started: Started = options.startedAt === undefined ? { ...options, startedAt } : (options as Started)
    const checked = validateData(settings.events[command.name], data)
    if (checked instanceof Promise) return checked.then((input: unknown) => this.#run(command, input, started))
    return this.#run(command, checked, started)
  }

  #run(command: CommandPlan, input: unknown, options: Started): Promise<Reply> {
    const learning = this.#admission.learnLimit(command)
    if (learning === undefined) return this.#runNow(command, input, options)
    return learning.then(
      () => this.#runNow(command, input, options),
      (error) => this.#joinOrRefuse(this.#admission.ask(command, input, options), error),
    )
  }

  #runNow(command: CommandPlan, input: unknown, options: Started): Promise<Reply> {
    return new Promise((settle) => {
      const asked = this.#admission.ask(command, input, options)
      let admitted: Admitted
      try {
        admitted = this.#admission.admit(asked)
      } catch (error) {
        settle(this.#joinOrRefuse(asked, error))
        return
      }
      this.#start(admitted, settle)
    })
  }

  /**
   * What was let in before is not refused when it comes again, at whatever limit and whatever is out of reach. A store
   * that cannot say so soon leaves the refusal as it is: refusals are promised at once, also when everything is slow.
   */
  async #joinOrRefuse(asked: Asked, error: unknown): Promise<Reply> {
    const { idempotency, command, options } = asked
    const existing = idempotency && (await this.#find(idempotency.key))
    if (existing !== undefined) return this.#join(asked, existing)
    const { principal } = options
    if (isGatewayError(error))
      this.#parts.lifecycle.note('shed', { code: error.code, command: command.name, principal })
    throw error
  }

  #find(key: string): Promise<Operation | undefined> {
    const { store, settings } = this.#parts
    const limit = { ms: LOOKUP_MS, late: () => new Error('The store took too long.'), clock: settings.clock }
    return within(store.find(key), limit).catch(() => undefined)
  }

  /** Everything up to the wait. What it holds is let go of before the wait begins, which may be long. */
  #start(admitted: Admitted, settle: Settle): void {
    const { pending, store } = this.#parts
    const { id } = admitted.operation
    // Registered before anything is written: a fast worker answers before the confirmation of the publish arrives.
    const waiting = pending.add(id, { principal: admitted.options.principal })
    waiting.awaitConfirmation()
    const begun: Begun = { admitted, waiting, settle }
    store.create(admitted.operation).then(
      (made) => this.#publishOrFail(begun, made),
      (error) => this.#fail(begun, this.#uncreated(id, error)),
    )
  }

  /** Stores and hooks are other people's code: whatever they do, the one who asked is told. */
  #publishOrFail(begun: Begun, made: Created, isNoted = false): void {
    const { command } = begun.admitted
    try {
      const creates = made.created && command.definition.creates !== undefined
      if (!creates || isNoted) this.#publish(begun, made)
      else void this.#noteCreation(command, made.operation).then(() => this.#publishOrFail(begun, made, true))
    } catch (error) {
      this.#parts.open.close(begun.admitted.operation.id)
      this.#fail(begun, error)
    }
  }

  #fail({ admitted, waiting, settle }: Begun, error: unknown): void {
    waiting.end({ kind: 'shutdown' })
    this.#parts.release(admitted.operation.id)
    settle(Promise.reject(error))
  }

  #publish(begun: Begun, { created, operation }: Created): void {
    const { admitted, waiting, settle } = begun
    if (!created) {
      this.#parts.open.close(admitted.operation.id)
      waiting.end({ kind: 'shutdown' })
      settle(this.#join(admitted, operation))
      return
    }
    this.#parts.lifecycle.note('created', { operation })
    waiting.leaveOn(admitted.options)
    if (!waiting.isOpen) {
      void this.#takeBack(begun, operation)
      return
    }
    this.#outbox.send(operation.id, admitted.operation.request)
    this.#wait(begun, operation)
  }

  #wait({ admitted, waiting, settle }: Begun, operation: Operation): void {
    waiting.limit(admitted.until - this.#parts.settings.clock.monotonic())
    waiting.whenEnded(new Wait(this.#replies, operation, { because: admitted.because, settle }))
  }

  /** Keeps where what is being created can be found by its own id; without it a read says 404, so it is only reported. */
  async #noteCreation({ definition }: CommandPlan, operation: Operation): Promise<void> {
    try {
      await noteCreation(this.#parts, definition, operation)
    } catch (error) {
      this.#parts.lifecycle.error(error)
    }
  }

  /** The error of a request whose operation was not created, as far as is known. */
  #uncreated(id: string, error: unknown): unknown {
    this.#parts.open.close(id)
    const { code, message, details } = toGatewayError(error)
    if (code !== 'ERR_STORE_UNAVAILABLE' || details.outcome === 'not-accepted') return error
    // The record may have been written all the same; the relay would then publish it, and retries may have joined it.
    this.#parts.pending.confirm(id, 'unconfirmed')
    return new GatewayError(code, message, { cause: error, operationId: id, outcome: 'unknown' })
  }

  /** The caller left, or the gateway shuts down, before the request was published: nothing is sent. */
  async #takeBack(begun: Begun, operation: Operation): Promise<void> {
    const { id, request } = begun.admitted.operation
    // Whoever joins meanwhile waits for what becomes of it.
    this.#outbox.hold(id)
    const { kind } = await begun.waiting.ended()
    const error = kind === 'gone' ? LEFT : CLOSED
    this.#outbox.block(id, request)
    try {
      const settled = await this.#parts.settle(id, { state: 'canceled', error, releaseKey: true })
      // What a relay has had may be published: then it stands.
      if (settled?.verdict === 'stale') this.#parts.pending.confirm(id, 'unconfirmed')
      else this.#outbox.unblock(id, request)
    } catch (cause) {
      // The operation stands then, and the relay publishes it.
      this.#parts.lifecycle.error(cause)
      this.#parts.pending.confirm(id, 'unconfirmed')
    } finally {
      this.#outbox.letGo(id)
    }
    this.#wait(begun, operation)
  }

  /** What a retry has joined may be taken back by the first request; the retry is then the first one itself. */
  async #join(asked: Asked, existing: Operation): Promise<Reply> {
    const { pending, lifecycle, settings } = this.#parts
    const { command, input, options, idempotency, until, because } = asked
    if (existing.idempotency?.fingerprint !== idempotency?.fingerprint) {
      throw new GatewayError('ERR_IDEMPOTENCY_MISMATCH', 'The key belongs to a request with other content.')
    }
    lifecycle.note('joined', { operation: existing })
    if (isEnded(existing)) return replyOf(existing, true)
    if (command.definition.onConcurrent === 'conflict') {
      const details = { operationId: existing.id }
      throw new GatewayError('ERR_IDEMPOTENCY_IN_USE', 'The first request with this key is still running.', details)
    }
    const waiting = pending.add(existing.id, { principal: options.principal })
    try {
      // Registered first, then read again: an end in between is seen by one of the two.
      const operation = await this.#replies.look(existing)
      this.#awaitConfirmation(waiting, operation)
      waiting.leaveOn(options)
      waiting.limit(until - settings.clock.monotonic())
      const ended = isEnded(operation)
      const reply = ended ? replyOf(operation) : await this.#replies.to(await waiting.ended(), operation, because)
      return wasTakenBack(reply.operation) ? this.#run(command, input, options) : reply
    } finally {
      waiting.end({ kind: 'shutdown' })
    }
  }

  /** A 202 may not be sent before the publish of the first request is confirmed or known to be unknown. */
  #awaitConfirmation(waiting: PendingRequest, operation: Operation): void {
    const { open, settings, deadlines, pending } = this.#parts
    const { id, createdAt, published } = operation
    if (open.isBeingPublished(id) || (open.has(id) && pending.awaitsConfirmation(id))) waiting.awaitConfirmation()
    if (open.has(id) || published) return
    // Another instance does not say when its publish is confirmed. Its clock, or the store's, may be another one, so
    // their times are believed within limits.
    const left = settings.publishTimeoutMs - Math.max(settings.clock.now() - createdAt, 0)
    if (left <= 0) return
    waiting.awaitConfirmation()
    deadlines.add(left, () => waiting.confirm('confirmed'))
  }
}

/** Only what is taken back loses its key without having failed. */
function wasTakenBack({ state, idempotency }: Operation): boolean {
  return state === 'canceled' && idempotency === undefined
}
