import { EventEmitter } from 'eventemitter3'
import { type ErrorCode, GatewayError, toGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import { checkListener } from '../core/options.js'
import type { RecordSpace } from '../core/store.js'
import type { Delivery, Reader, Settlement } from '../core/transport.js'
import { Tries } from '../core/tries.js'
import { type AnyEvents, Attempts, type Handling } from './attempts.js'
import { type Answer, findAnswer, keepAnswer } from './dedupe.js'
import { checkHandling, type WorkerSettings } from './settings.js'
import type { HandleOptions, Handler, Worker, WorkerEvents } from './types.js'
import { Waits } from './waits.js'

const EVENTS: readonly (keyof WorkerEvents)[] = ['handled', 'retry', 'parked', 'requeued', 'error']

/** The worker behind `createWorker`: takes requests, and settles each after its results are published. */
export class EventWorker implements Worker<AnyEvents> {
  readonly #settings: WorkerSettings
  readonly #handlers = new Map<string, Handling>()
  readonly #emitter = new EventEmitter<string>()
  readonly #warned = new Set<ErrorCode>()
  readonly #waits: Waits
  readonly #tries: Tries
  readonly #attempts: Attempts
  readonly #opened: Pick<Reader, 'close'>[] = []
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(settings: WorkerSettings) {
    this.#settings = settings
    this.#waits = new Waits(settings.clock)
    this.#tries = new Tries(settings.clock)
    this.#attempts = new Attempts({ settings, waits: this.#waits, note: (name, payload) => this.#note(name, payload) })
  }

  handle(type: string, handler: Handler<AnyEvents, string>, options: HandleOptions<AnyEvents, string> = {}): this {
    checkHandling(type, { handler, options, events: this.#settings.events })
    if (this.#handlers.has(type)) throw new GatewayError('ERR_CONFIG', `${type} has a handler already.`)
    if (this.#started) throw new GatewayError('ERR_CONFIG', `The worker has started without a handler of ${type}.`)
    this.#handlers.set(type, { ...options, handler })
    return this
  }

  on<Name extends keyof WorkerEvents>(name: Name, listener: (payload: WorkerEvents[Name]) => void): this {
    checkListener(name, listener, EVENTS)
    this.#emitter.on(name, listener)
    return this
  }

  start(): Promise<void> {
    this.#started ??= this.#start().catch(async (error) => {
      this.#started = undefined
      await this.#release()
      throw error
    })
    return this.#started
  }

  close({ drainMs = this.#settings.drainMs }: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(drainMs)
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { transport, store, group, concurrency } = this.#settings
    const types = [...this.#handlers.keys()]
    if (this.#closed) throw new GatewayError('ERR_CLOSED', 'A closed worker cannot start again.')
    if (types.length === 0) throw new GatewayError('ERR_CONFIG', 'The worker has no handlers; call handle() first.')
    await store?.start()
    if (store) this.#opened.push(store)
    const down = (error: unknown) => this.#note('error', toGatewayError(error, 'ERR_TRANSPORT_UNAVAILABLE'))
    const error = (cause: unknown) => this.#note('error', toGatewayError(cause))
    await transport.start({ down, up: () => {}, error })
    this.#opened.push(transport)
    const reading = { kind: 'shared', group, concurrency } as const
    const onMessage = (request: EventMessage, delivery: Delivery) => this.#settle(request, delivery)
    this.#opened.push(await transport.subscribe({ channel: 'requests', types, reading }, onMessage))
    if (this.#closed) await this.#release()
  }

  async #close(drainMs: number): Promise<void> {
    const cancel = this.#settings.clock.setTimer(() => this.#giveUp(), drainMs)
    this.#waits.end('pause')
    await this.#release()
    cancel()
  }

  #giveUp(): void {
    this.#tries.close()
    this.#waits.end('work')
  }

  /** Closes what was opened, the reader first; one that fails is reported and does not stop the others. */
  async #release(): Promise<void> {
    for (const part of this.#opened.splice(0).reverse()) {
      await part.close().catch((error) => this.#note('error', toGatewayError(error)))
    }
  }

  async #settle(request: EventMessage, { attempt }: Delivery): Promise<Settlement> {
    try {
      return await this.#answer(request, attempt)
    } catch (error) {
      this.#note('requeued', { request, error })
      const reported = toGatewayError(error)
      // What may pass was told when it was tried for the first time.
      if (!reported.retryable) this.#note('error', reported)
      // What is refused is not asked again at once.
      await this.#waits.pause(this.#attempts.backoffMs(attempt - 1)).catch(() => {})
      return 'requeue'
    }
  }

  async #answer(request: EventMessage, delivered: number): Promise<Settlement> {
    const { store, group, ttlMs } = this.#settings
    const handling = this.#handlers.get(request.type)
    if (handling === undefined) return 'park'
    const key = `worker/${group}/${request.id}`
    const known = store && (await this.#untilDone(() => findAnswer(store.records, key), 'ERR_STORE_UNAVAILABLE'))
    const made = known ?? (await this.#attempts.answer({ request, handling, delivered }))
    const keep = (space: RecordSpace) => keepAnswer(space, made, { key, ttlMs })
    const answer = store && !known ? await this.#untilDone(() => keep(store.records), 'ERR_STORE_UNAVAILABLE') : made
    const sent = await this.#publish(request, answer, handling)
    // Not by identity: what was kept by a call that seemed to fail is read back.
    const replayed = known !== undefined || answer.results[0]?.id !== made.results[0]?.id
    this.#note(sent.park ? 'parked' : 'handled', { request, results: sent.results, replayed })
    return sent.park ? 'park' : 'ack'
  }

  /** Gives what was published: of results that the broker will never take only that the request has failed, if it can. */
  async #publish(request: EventMessage, answer: Answer, handling: Handling): Promise<Answer> {
    const answers = [
      () => answer,
      (error: unknown) => this.#attempts.fail({ request, handling }, { error, reason: 'error' }),
      () => this.#attempts.generalFailure(request),
    ]
    let refusal: GatewayError | undefined
    for (const next of answers) {
      const tried = await next(refusal)
      refusal = await this.#send(request, tried.results)
      if (refusal === undefined) return tried
    }
    return { results: [], park: true }
  }

  /** Publishes results in their order; resolves to why the broker will never take one of them. */
  async #send({ replyTo }: EventMessage, results: readonly EventMessage[]): Promise<GatewayError | undefined> {
    const { transport } = this.#settings
    for (const result of results) {
      const publish = async () => transport.publish(result, { channel: 'results', replyTo })
      const refusal = await this.#untilDone(() => publish().then(nothing, toRefusal), 'ERR_PUBLISH_UNCONFIRMED')
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  /**
   * Makes a call again until it is answered, so that what the handler has done counts, and is not done again: a broker
   * that gives the request back to us counts how often. Its first failure is told.
   */
  #untilDone<T>(call: () => Promise<T>, code: ErrorCode): Promise<T> {
    let isTold = false
    return this.#tries.until(async () => {
      try {
        return await this.#waits.until(call)
      } catch (cause) {
        const error = toGatewayError(cause, code)
        if (!isTold && error.retryable && !this.#tries.isClosed) this.#note('error', error)
        isTold = true
        throw error
      }
    })
  }

  /** Listeners that throw disturb nothing, and errors that nobody hears become warnings, once for each code. */
  #note<Name extends keyof WorkerEvents>(name: Name, payload: WorkerEvents[Name]): void {
    try {
      if (this.#emitter.emit(name, payload) || name !== 'error') return
      const { code, message, cause } = payload as GatewayError
      const why = cause === undefined ? '' : `${cause}. `
      const detail = `${why}Listen to "error" of the worker to hear of all of them.`
      if (!this.#warned.has(code)) process.emitWarning(message, { code, detail })
      this.#warned.add(code)
    } catch (error) {
      process.emitWarning(`A listener of "${name}" has thrown: ${String(error)}`, 'RespondAsyncWarning')
    }
  }
}

/** Passes on what may pass. */
function toRefusal(cause: unknown): GatewayError {
  const error = toGatewayError(cause, 'ERR_PUBLISH_UNCONFIRMED')
  if (error.retryable && !error.details.isPermanent) throw error
  return error
}

function nothing(): undefined {}
