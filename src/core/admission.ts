import type { RequestOptions } from './command.js'
import type { CommandPlan } from './definition.js'
import { GatewayError } from './errors.js'
import { type EventMessage, toMessage } from './event.js'
import { fingerprint } from './fingerprint.js'
import { createId } from './ids.js'
import type { Because } from './lifecycle.js'
import type { Idempotency, NewOperation } from './operation.js'
import { checkWait } from './options.js'
import type { GatewayParts } from './parts.js'
import { withLifetime } from './profile.js'
import { joinTrace } from './trace.js'

/** The options of a request with the time at which it came. */
export type Started = RequestOptions & { readonly startedAt: number }

/** A request, with what it takes to join the operation of an earlier one. */
export interface Asked {
  readonly command: CommandPlan
  readonly input: unknown
  readonly options: Started
  readonly idempotency: Idempotency | undefined
  /** When the wait ends, on the monotonic scale. */
  readonly until: number
  /** Why it is answered without its result, if its time is up. */
  readonly because: Because
}

/** A request that may begin: what was decided at its admission. */
export interface Admitted extends Asked {
  readonly operation: NewOperation
}

/** Decides which requests may begin, before anything is written or published for them. */
export class Admission {
  readonly #parts: GatewayParts

  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  /**
   * Has the transport ask for what it does not know yet of the largest body, and rejects for certain when it cannot;
   * undefined where there is nothing to ask, also while the broker is known to be away, which `admit` says.
   */
  learnLimit({ name }: CommandPlan): Promise<void> | undefined {
    const { transport, transportBreaker } = this.#parts
    if (transport.learnMaxBodyBytesOf === undefined || transportBreaker.isOpen) return undefined
    try {
      const learning = transport.learnMaxBodyBytesOf(name)
      return learning && transportBreaker.run(() => learning).catch(refuseUnasked)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * What is asked for, and for how long it is waited.
   * @throws GatewayError when the input cannot be told apart from others, or the wait is none.
   */
  ask(command: CommandPlan, input: unknown, options: Started): Asked {
    const { settings, pending, load } = this.#parts
    const asked = options.waitMs ?? command.waitMs ?? settings.waitMs
    checkWait(asked)
    // An answer that takes its time costs nothing more than one at once, while this process cannot keep its deadlines.
    const isOverload = pending.isFullFor(options.principal) || (load.isStalling && this.#isDeferrable(options))
    return {
      command,
      input,
      options,
      idempotency: idempotencyOf(command.name, input, options),
      until: options.startedAt + (isOverload ? 0 : asked),
      because: isOverload ? 'overload' : asked === 0 ? 'preference' : 'timeout',
    }
  }

  /**
   * Lets a request in, and counts its operation as open.
   * @throws GatewayError when it cannot be taken: a limit, or a broker out of reach. Nothing has happened then.
   */
  admit({ command, input, options, idempotency, until, because }: Asked): Admitted {
    const { settings, open, transportBreaker } = this.#parts
    if (transportBreaker.isOpen) throw transportBreaker.refusal()
    if (because === 'overload' && !this.#isDeferrable(options)) throw overload()
    const operation = this.#describe(command, input, { options, idempotency })
    const owner = { command: command.name, principal: options.principal, maxPerCommand: command.maxOpen }
    open.open(operation.id, owner, settings.clock.monotonic() + settings.operationTtlMs)
    return { command, input, options, idempotency, until, because, operation }
  }

  #isDeferrable({ deferrable }: Started): boolean {
    return this.#parts.storeKind !== 'none' && deferrable !== false
  }

  #describe(
    command: CommandPlan,
    input: unknown,
    { options, idempotency }: Pick<Asked, 'options' | 'idempotency'>,
  ): NewOperation {
    const { settings } = this.#parts
    const { clock } = settings
    const { principal, headers, tenant } = options
    const { traceparent, tracestate } = joinTrace(options.traceparent, options.tracestate)
    const id = createId(clock.now())
    const key = keyOf(command, input)
    const type = command.name
    const source = settings.service
    const { operationTtlMs: ttlMs, retentionMs } = settings
    const profile = withLifetime(command.definition.profile, ttlMs)
    // One literal, without a spread, which costs several times as much.
    const message = toMessage(
      { id, correlationId: id, type, source, key, headers, tenant, profile, traceparent, tracestate, data: input },
      clock,
    )
    const request = this.#fitting(message)
    return {
      id,
      command: type,
      principal,
      request,
      ttlMs,
      retentionMs,
      idempotency,
    }
  }

  /** What the broker would refuse for ever must not wait for it in the outbox. */
  #fitting(request: EventMessage): EventMessage {
    this.#checkSize(request)
    const { transport } = this.#parts
    const excess = transport.excessOf?.(request)
    if (excess === undefined) return request
    // W3C Trace Context lets anybody drop a tracestate: no request is refused for it.
    const lighter = { ...request, tracestate: undefined }
    if (transport.excessOf?.(lighter) === undefined) return lighter
    throw new GatewayError('ERR_BODY_TOO_LARGE', `${request.type} is too large: ${excess}`)
  }

  #checkSize(request: EventMessage): void {
    const { transport } = this.#parts
    const { type } = request
    const limit = transport.maxBodyBytesOf?.(type) ?? transport.maxBodyBytes ?? Number.POSITIVE_INFINITY
    const size = transport.writtenBytesOf?.(request) ?? request.body.length
    if (size <= limit) return
    const text = `The body of ${type} has ${size} bytes; the message broker takes ${limit}.`
    throw new GatewayError('ERR_BODY_TOO_LARGE', text)
  }
}

function refuseUnasked(cause: unknown): never {
  const text = 'The message broker could not be asked how much it takes.'
  throw new GatewayError('ERR_TRANSPORT_UNAVAILABLE', text, { cause, outcome: 'not-accepted' })
}

function keyOf({ name, definition }: CommandPlan, input: unknown): string | undefined {
  try {
    return definition.key?.(input)
  } catch (cause) {
    throw new GatewayError('ERR_HOOK', `The key of ${name} has thrown.`, { cause })
  }
}

function overload(): GatewayError {
  const text = 'As many requests are waiting as may, in all or for this principal; nothing was started.'
  return new GatewayError('ERR_OVERLOADED', text, { outcome: 'not-accepted' })
}

function idempotencyOf(command: string, input: unknown, { idempotencyKey, principal }: RequestOptions) {
  if (idempotencyKey === undefined) return undefined
  return { key: JSON.stringify([principal ?? null, command, idempotencyKey]), fingerprint: fingerprint(input) }
}
