import { GatewayError, isGatewayError, toGatewayError } from '../core/errors.js'
import { type EventMessage, parseData, toMessage } from '../core/event.js'
import { SEQUENCE_HEADER } from '../core/operation.js'
import { validateData } from '../core/schema.js'
import type { Answer } from './dedupe.js'
import type { WorkerSettings } from './settings.js'
import type { HandleOptions, Handler, ResultEvent, WorkerEvents } from './types.js'
import type { Waits } from './waits.js'

/** Events whose types are not known before run time. */
export type AnyEvents = Record<string, unknown>

/** How requests of one type are carried out. */
export interface Handling extends HandleOptions<AnyEvents, string> {
  readonly handler: Handler<AnyEvents, string>
}

/** One delivery of a request. */
interface Job {
  readonly request: EventMessage
  readonly handling: Handling
  /** How often the request has been delivered. */
  readonly delivered: number
}

/** One run of the handler. */
interface Attempt {
  readonly data: unknown
  readonly attempt: number
  /** Gives the next number of the progress of this delivery. */
  readonly sequences: () => number
}

/** What a handler has returned. */
type Made = Awaited<ReturnType<Handler<AnyEvents, string>>>

/** Why a request has failed; `data` when its own could be read. */
interface Failure {
  readonly error: unknown
  readonly reason: keyof typeof MESSAGES
  readonly data?: unknown
}

/** What the attempts work with. */
interface AttemptParts {
  readonly settings: WorkerSettings
  readonly waits: Waits
  readonly note: <Name extends keyof WorkerEvents>(name: Name, payload: WorkerEvents[Name]) => void
}

/** All that clients learn where no `failure` says more: errors may name hosts, tables and people. */
const MESSAGES = { error: 'The request could not be carried out.', invalid: 'The request is not valid.' }
const MAX_BACKOFF_MS = 30_000
const MOST_DOUBLINGS = 30
/** What is away is asked for again after at least and at most this: once it is back, nobody should have to wait long. */
const OUTAGE_MS = { least: 100, most: 1000 }
/** Beyond what one delivery sends, so that the progress of each later one has greater numbers. */
const SEQUENCES = 1_000_000

/** Runs handlers, tries again what fails, and says so when all has failed. */
export class Attempts {
  readonly #parts: AttemptParts

  constructor(parts: AttemptParts) {
    this.#parts = parts
  }

  /**
   * Rejects only when the worker closes. A store or broker that is away uses up no attempt: a failure that was told for
   * it would stand, whatever the handler comes to when it is asked once more.
   */
  async answer(job: Job): Promise<Answer> {
    const { settings, waits, note } = this.#parts
    const { request, delivered } = job
    const sequences = countFrom((delivered - 1) * SEQUENCES)
    for (let count = 0, failed = 0; ; count += 1) {
      let data: unknown
      try {
        // Parsed for each attempt anew, as a handler may have changed what it got.
        data = await validateData(settings.events[request.type], parseData(request))
      } catch (error) {
        return this.fail(job, { error: toGatewayError(error, 'ERR_MALFORMED_BODY'), reason: 'invalid' })
      }
      let made: Made
      try {
        made = await this.#attempt(job, { data, attempt: delivered + count, sequences })
      } catch (error) {
        if (waits.hasEnded('work')) throw error
        const isAway = isOutage(error)
        if (!isAway) failed += 1
        if (failed >= settings.attempts) return this.fail(job, { error, reason: 'error', data })
        const delayMs = isAway ? this.#outageMs(count) : this.backoffMs(failed - 1)
        note('retry', { request, attempt: delivered + count, delayMs, error })
        await waits.pause(delayMs)
        continue
      }
      return this.#toAnswer(job, made, data)
    }
  }

  /** A result that is none would be none again, and what the handler has done would be done again. */
  async #toAnswer(job: Job, made: Made, data: unknown): Promise<Answer> {
    const { settings, waits } = this.#parts
    const encode = () => Promise.all([made ?? []].flat().map((event) => this.#encode(job.request, event)))
    try {
      return { results: await waits.until(encode, settings.timeoutMs), park: false }
    } catch (error) {
      if (waits.hasEnded('work')) throw error
      return this.fail(job, { error, reason: 'error', data })
    }
  }

  /** With full jitter, so that what failed together is not tried again together. */
  backoffMs(failures: number): number {
    const doubled = this.#parts.settings.backoffMs * 2 ** Math.min(failures, MOST_DOUBLINGS)
    return Math.round(Math.random() * Math.min(doubled, MAX_BACKOFF_MS))
  }

  #outageMs(failures: number): number {
    return Math.min(Math.max(this.backoffMs(failures), OUTAGE_MS.least), OUTAGE_MS.most)
  }

  #attempt({ request, handling }: Job, { data, attempt, sequences }: Attempt) {
    const { id, type, correlationId, key, headers } = request
    const { timeoutMs } = this.#parts.settings
    return this.#parts.waits.until(
      async (controller) =>
        handling.handler({
          data,
          id,
          correlationId,
          key,
          headers,
          attempt,
          progress: (data) => {
            const event = { type: `${type}::Progress`, data, headers: { [SEQUENCE_HEADER]: `${sequences()}` } }
            if (!controller.signal.aborted) void this.#progress(request, event)
          },
          get signal() {
            return controller.signal
          },
        }),
      timeoutMs,
    )
  }

  async #progress(request: EventMessage, event: ResultEvent<AnyEvents>): Promise<void> {
    try {
      const message = await this.#encode(request, event)
      await this.#parts.settings.transport.publish(message, { channel: 'results', replyTo: request.replyTo })
    } catch (error) {
      this.#parts.note('error', toGatewayError(error))
    }
  }

  /** Reports why a request cannot be carried out, and gives the event that says so. */
  async fail({ request, handling }: Omit<Job, 'delivered'>, { error, reason, data }: Failure): Promise<Answer> {
    this.#parts.note('error', toGatewayError(error, 'ERR_WORKER_FAILED'))
    try {
      const declared = handling.failure?.(error, { ...request, data })
      if (declared !== undefined) return { results: [await this.#encode(request, declared)], park: true }
    } catch (cause) {
      this.#parts.note('error', toGatewayError(cause, 'ERR_WORKER_FAILED'))
    }
    return this.generalFailure(request, reason)
  }

  /** What is said of a request where no `failure` says more. */
  generalFailure(request: EventMessage, reason: Failure['reason'] = 'error'): Answer {
    const general = { type: `${request.type}::Failed`, data: { reason, message: MESSAGES[reason] } }
    return { results: [this.#toMessage(request, general)], park: true }
  }

  async #encode(request: EventMessage, event: ResultEvent<AnyEvents>): Promise<EventMessage> {
    if (typeof event?.type !== 'string') {
      throw new GatewayError(
        'ERR_WORKER_FAILED',
        `A handler of ${request.type} returned what is no event: return { type, data }, a list of those, or nothing.`,
      )
    }
    const { events } = this.#parts.settings
    // `<type>::Failed` and `<type>::Progress` are there for every request type, with or without a schema.
    const isImplicit = event.type.startsWith(`${request.type}::`)
    if (events[event.type] === undefined && Object.keys(events).length > 0 && !isImplicit) {
      throw new GatewayError('ERR_WORKER_FAILED', `There is no schema for ${event.type}, which a handler returned.`)
    }
    if (event.body === undefined) await validateData(events[event.type], event.data)
    return this.#toMessage(request, event)
  }

  #toMessage(request: EventMessage, event: ResultEvent<AnyEvents>): EventMessage {
    const { source, clock } = this.#parts.settings
    const { correlationId, id: causationId, traceparent, tracestate, tenant } = request
    const { type, key = request.key, headers, data, body, contentType } = event
    return toMessage(
      {
        type,
        headers,
        data,
        body,
        contentType,
        source,
        correlationId,
        causationId,
        key,
        traceparent,
        tracestate,
        tenant,
      },
      clock,
    )
  }
}

/** Whether a store or a broker that the handler has asked is away, or has not said what became of a call. */
function isOutage(error: unknown): boolean {
  return isGatewayError(error) && ['ERR_STORE_UNAVAILABLE', 'ERR_TRANSPORT_UNAVAILABLE'].includes(error.code)
}

function countFrom(start: number): () => number {
  let last = start
  return () => {
    last += 1
    return last
  }
}
