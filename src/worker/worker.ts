import { EventEmitter } from 'eventemitter3'
import { type ErrorCode, GatewayError, isGatewayError, toGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import { checkListener } from '../core/options.js'
import type { Delivery, Reader, Settlement } from '../core/transport.js'
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
  readonly #attempts: Attempts
  readonly #opened: Pick<Reader, 'close'>[] = []
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(settings: WorkerSettings) {
    this.#settings = settings
    this.#waits = new Waits(settings.clock)
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
    const cancel = this.#settings.clock.setTimer(() => this.#waits.end('work'), drainMs)
    this.#waits.end('pause')
    await this.#release()
    cancel()
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
      if (reported.code !== 'ERR_CLOSED') this.#note('error', reported)
      // What cannot be reached is not asked again at once.
      await this.#waits.pause(this.#attempts.backoffMs(attempt - 1)).catch(() => {})
      return 'requeue'
    }
  }

  async #answer(request: EventMessage, delivered: number): Promise<Settlement> {
    const { store, group, ttlMs } = this.#settings
    const handling = this.#handlers.get(request.type)
    if (handling === undefined) return 'park'
    const key = `worker/${group}/${request.id}`
    const known = store && (await this.#waits.until(() => findAnswer(store.records, key)))
    const made = known ?? (await this.#attempts.answer({ request, handling, delivered }))
    const answer =
      store && !known ? await this.#waits.until(() => keepAnswer(store.records, made, { key, ttlMs })) : made
    const sent = await this.#publish(request, answer, handling)
    const replayed = known !== undefined || answer !== made
    this.#note(sent.park ? 'parked' : 'handled', { request, results: sent.results, replayed })
    return sent.park ? 'park' : 'ack'
  }

  /** Gives what was published: of results that are too large for the broker only that the request has failed. */
  async #publish(request: EventMessage, answer: Answer, handling: Handling): Promise<Answer> {
    const answers = [
      () => answer,
      (error: unknown) => this.#attempts.fail({ request, handling }, { error, reason: 'error' }),
      () => this.#attempts.generalFailure(request),
    ]
    let failure: unknown
    for (const next of answers) {
      const tried = await next(failure)
      try {
        for (const result of tried.results) await this.#send(request, result)
        return tried
      } catch (error) {
        if (!(isGatewayError(error) && error.details.isTooLarge)) throw error
        failure = error
      }
    }
    throw failure
  }

  #send(request: EventMessage, result: EventMessage): Promise<void> {
    const to = { channel: 'results', replyTo: request.replyTo } as const
    return this.#waits.until(() => this.#settings.transport.publish(result, to))
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
