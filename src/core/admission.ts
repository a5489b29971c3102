import type { RequestOptions } from './command.js'
import type { CommandPlan } from './definition.js'
import { GatewayError, isGatewayError } from './errors.js'
import { toMessage } from './event.js'
import { fingerprint } from './fingerprint.js'
import { createId } from './ids.js'
import type { Because } from './lifecycle.js'
import type { NewOperation } from './operation.js'
import { checkWait } from './options.js'
import type { GatewayParts } from './parts.js'

/** The options of a request with the time at which it came. */
export type Started = RequestOptions & { readonly startedAt: number }

/** A request that may begin: what was decided at its admission. */
export interface Admitted {
  readonly command: CommandPlan
  readonly input: unknown
  readonly options: Started
  readonly operation: NewOperation
  /** When the wait ends, on the monotonic scale. */
  readonly until: number
  /** Why it is answered without its result, if its time is up. */
  readonly because: Because
}

/** Decides which requests may begin, before anything is written or published for them. */
export class Admission {
  readonly #parts: GatewayParts

  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  /**
   * Lets a request in, and counts its operation as open.
   * @throws GatewayError when it cannot be taken: a limit, or a broker out of reach. Nothing has happened then.
   */
  admit(command: CommandPlan, input: unknown, options: Started): Admitted {
    const { settings, open, pending, storeKind, transportBreaker, process } = this.#parts
    if (!transportBreaker.admits()) throw this.#shed(transportBreaker.refusal(), command, options)
    const operation = this.#describe(command, input, options)
    const asked = options.waitMs ?? command.waitMs ?? settings.waitMs
    checkWait(asked)
    const isFull = pending.size >= settings.maxPending
    const deferrable = storeKind !== 'none' && options.deferrable !== false
    // An answer that takes its time costs nothing more than one at once, while this process cannot keep its deadlines.
    const overloaded = isFull || (process.isStalling && deferrable)
    try {
      if (isFull && !deferrable) throw overload(settings.maxPending)
      const owner = { command: command.name, principal: options.principal, maxPerCommand: command.maxOpen }
      open.open(operation.id, owner, settings.clock.monotonic() + settings.operationTtlMs)
    } catch (error) {
      throw this.#shed(error, command, options)
    }
    const because = overloaded ? 'overload' : asked === 0 ? 'preference' : 'timeout'
    const until = options.startedAt + (overloaded ? 0 : asked)
    return { command, input, options, operation, until, because }
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

  #shed(error: unknown, command: CommandPlan, { principal }: RequestOptions): unknown {
    if (isGatewayError(error))
      this.#parts.lifecycle.note('shed', { code: error.code, command: command.name, principal })
    return error
  }
}

function overload(limit: number): GatewayError {
  const text = `${limit} requests are waiting, which is the limit; nothing was started.`
  return new GatewayError('ERR_OVERLOADED', text, { outcome: 'not-accepted' })
}

function idempotencyOf(command: string, input: unknown, { idempotencyKey, principal }: RequestOptions) {
  if (idempotencyKey === undefined) return undefined
  return { key: JSON.stringify([principal ?? null, command, idempotencyKey]), fingerprint: fingerprint(input) }
}
