import { Command, type GatewayContext } from './command.js'
import { type AnyDefinition, type CommandDefinition, CommandPlan, type EventType, type ResultOf } from './definition.js'
import { checkReplyAddress, durabilityOf, weakest } from './durability.js'
import { GatewayError } from './errors.js'
import { Housekeeping } from './housekeeping.js'
import { inTime } from './in-time.js'
import { type Counters, LIFECYCLE_EVENTS, type LifecycleEvent, type LifecycleEvents } from './lifecycle.js'
import { Operations } from './operations.js'
import { type CoreOptions, type CoreSettings, checkListener, resolveOptions } from './options.js'
import { Outbox } from './outbox.js'
import { createParts, type GatewayParts } from './parts.js'
import { Requests } from './requests.js'
import { readResults } from './result-readers.js'
import { Results } from './results.js'
import type { SchemaMap } from './schema.js'
import type { Store } from './store.js'
import type { Durability } from './transport.js'

/** What a layer around the core adds: its own settings, and fields of command definitions that the core only keeps. */
export interface Extension {
  readonly settings: unknown
  readonly commandOptions: readonly string[]
  checkCommand(definition: object, keepsOperations: boolean): void
}

/** What the composition root decides for the core. */
export interface GatewayInit {
  readonly options: CoreOptions
  readonly events: SchemaMap
  /** Makes the store of a gateway that was given none. */
  readonly defaultStore: (settings: CoreSettings) => Store
  readonly extension: Extension
}

type State = 'new' | 'started' | 'draining' | 'closed'

/** The core: commands in, operations out. It knows no HTTP, no framework, no broker and no database. */
export class CoreGateway<Events = Record<string, unknown>> implements GatewayContext {
  /** Reads, awaits and cancels operations, whichever instance started them. */
  readonly operations: Operations
  /** Settings of the layer around the core. */
  readonly extension: unknown
  readonly settings: CoreSettings
  readonly #extension: Extension
  readonly #parts: GatewayParts
  readonly #requests: Requests
  readonly #housekeeping: Housekeeping
  readonly #ends: (() => Promise<void>)[] = []
  #state: State = 'new'
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor({ options, events, defaultStore, extension }: GatewayInit) {
    this.settings = resolveOptions(options, events)
    this.extension = extension.settings
    this.#extension = extension
    this.#parts = createParts(options, this.settings, defaultStore)
    const outbox = new Outbox(this.#parts)
    this.operations = new Operations(this.#parts)
    this.#requests = new Requests(this.#parts, outbox)
    this.#housekeeping = new Housekeeping(this.#parts, outbox)
  }

  /** True when operations are kept, so that a request can be answered before its result is there. */
  get keepsOperations(): boolean {
    return this.#parts.storeKind !== 'none'
  }

  /** True when operations are kept beyond the life of this gateway. */
  get outlivesGateway(): boolean {
    return this.#parts.storeKind === 'given'
  }

  /** What transport and store together promise about accepted operations, of whichever command. */
  get durability(): Durability {
    const { transport, bareStore, commands } = this.#parts
    const ofCommands = [...commands.values()].map((plan) => this.durabilityOf(plan))
    return weakest([transport.durability, bareStore.durability, ...ofCommands])
  }

  /** The same for one command. */
  durabilityOf(plan: CommandPlan): Durability {
    return durabilityOf(plan, this.#parts)
  }

  /** True while requests are taken: started, not closing, and broker and store within reach. */
  get isReady(): boolean {
    const { storeBreaker, transportBreaker } = this.#parts
    return this.#state === 'started' && !storeBreaker.isOpen && !transportBreaker.isOpen
  }

  /** True from the call of `close` on. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** True while as many wait as may, in all or for one principal; who asks to wait then gets the operation as it is. */
  isFullFor(principal: string | undefined): boolean {
    return this.#parts.pending.isFullFor(principal)
  }

  /** How often everything has happened, and how many wait and run now. */
  get counters(): Counters & { readonly pending: number; readonly open: number } {
    const { lifecycle, pending, open } = this.#parts
    return { ...lifecycle.counters(), pending: pending.size, open: open.size }
  }

  /** Looks up a command by the type of its request event. */
  commandOf(name: string): CommandPlan | undefined {
    return this.#parts.commands.get(name)
  }

  /**
   * Declares a command. All commands are declared before `start`, as their result events have to be subscribed.
   * @throws GatewayError ERR_CONFIG for a second command of the same name, or a definition that is not valid.
   */
  command<Publish extends EventType<Events>, Types extends EventType<Events>>(
    definition: CommandDefinition<Events, Publish, Types>,
  ): Command<Events[Publish], ResultOf<Events, Publish, Types>> {
    const plan = new CommandPlan(definition as unknown as AnyDefinition, this.#extension.commandOptions)
    this.#extension.checkCommand(definition, this.keepsOperations)
    const known = Object.keys(this.settings.events)
    const { outcomes, progress = [], cancel = plan.name } = plan.definition
    const foreign = [plan.name, ...Object.keys(outcomes), ...progress, cancel].find((type) => !known.includes(type))
    if (known.length > 0 && foreign !== undefined) {
      throw configError(`There is no schema for the event ${foreign}; there are: ${known.sort().join(', ')}.`)
    }
    if (plan.definition.replies === 'many' && !this.keepsOperations)
      throw configError(`replies: 'many' of ${plan.name} needs a store, where the values are kept until the last one.`)
    checkReplyAddress(plan, this.#parts)
    if (this.#parts.commands.has(plan.name)) throw configError(`The command ${plan.name} exists already.`)
    if (this.#state !== 'new' || this.#starting) throw configError(`Declare the command ${plan.name} before start().`)
    this.#parts.commands.set(plan.name, plan)
    return new Command(plan, this, (data, options = {}) => {
      this.#assertOpen()
      return this.#requests.request(plan, data, options)
    })
  }

  /**
   * Listens to what the gateway does.
   * @throws GatewayError ERR_CONFIG for an event that does not exist, or a listener that is no function.
   */
  on<Name extends LifecycleEvent>(name: Name, listener: (payload: LifecycleEvents[Name]) => void): this {
    checkListener(name, listener, LIFECYCLE_EVENTS)
    this.#parts.lifecycle.emitter.on(name, listener as never)
    return this
  }

  /** Stops listening. */
  off<Name extends LifecycleEvent>(name: Name, listener: (payload: LifecycleEvents[Name]) => void): this {
    this.#parts.lifecycle.emitter.off(name, listener as never)
    return this
  }

  /** Reports an error of the layer around the core to the listeners of `error`. */
  report(error: unknown): void {
    this.#parts.lifecycle.error(error)
  }

  /** Connects, and resolves when results published from now on will be seen. Further calls give the same promise. */
  start(): Promise<void> {
    if (this.#closing) return Promise.reject(stays())
    this.#starting ??= this.#start().catch(async (error: unknown) => {
      this.#starting = undefined
      await this.#release(this.settings.drainMs)
      throw error
    })
    return this.#starting
  }

  /**
   * Takes no more requests, answers those that wait (202 where the operation is kept elsewhere, else they wait on for
   * up to `drainMs`), lets publishes finish, and disconnects. Further calls give the same promise.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainMs ?? this.settings.drainMs)
    return this.#closing
  }

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { transport, transportBreaker, pending, bareStore, lifecycle, commands } = this.#parts
    const up = () => {
      transportBreaker.report(false)
      this.#housekeeping.readPendingAgain()
    }
    const repliesLost = () => pending.giveUp()
    const error = (cause: unknown) => lifecycle.error(cause)
    await transport.start({ down: (cause) => transportBreaker.report(true, cause), up, repliesLost, error })
    this.#opened(() => transport.close())
    transport.checkRequestTypes?.([...commands.values()].flatMap(({ requestTypes }) => requestTypes))
    await bareStore.start({ callTimeoutMs: this.settings.storeTimeoutMs })
    this.#opened(() => bareStore.close())
    const results = new Results(this.#parts)
    this.#opened(await readResults(this.#parts, results))
    // Nobody else changes what is in a store of the gateway's own.
    const isShared = this.#parts.storeKind === 'given'
    const watch = isShared && bareStore.watch?.((id, operation) => this.#housekeeping.seeChange(id, operation))
    if (watch) this.#opened(await watch)
    this.#housekeeping.start(results)
    this.#state = 'started'
    const skippedChecks = { transport: transport.skippedChecks ?? [], store: bareStore.skippedChecks ?? [] }
    lifecycle.note('started', { durability: this.durability, skippedChecks })
  }

  /** Notes how to undo a step of the start. A gateway that was closed meanwhile goes no further. */
  #opened(end: () => Promise<void>): void {
    this.#ends.push(end)
    if (this.#closing) throw stays()
  }

  async #close(drainMs: number): Promise<void> {
    const { pending, deadlines, lifecycle } = this.#parts
    this.#state = this.#state === 'new' ? 'closed' : 'draining'
    const { storeTimeoutMs, publishTimeoutMs } = this.settings
    const callsMs = storeTimeoutMs + publishTimeoutMs
    const starting = this.#starting?.catch(() => {})
    if (starting) await this.#inTime(starting, callsMs)
    lifecycle.note('draining', { pending: pending.size })
    pending.shutdown('observers')
    if (!this.outlivesGateway && drainMs > 0) await this.#inTime(pending.whenEmpty(), drainMs)
    pending.shutdown()
    await this.#inTime(this.#housekeeping.stop(), callsMs)
    await this.#release(drainMs)
    deadlines.close()
    this.#state = 'closed'
    lifecycle.note('stopped', {})
  }

  /** Undoes the start, last step first: readers go before the store in which they record. */
  async #release(drainMs: number): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await this.#inTime(end(), Math.max(drainMs, 1))
  }

  /** A step of the shutdown that fails, or takes too long, is reported or left behind and does not stop the others. */
  async #inTime(step: Promise<unknown>, ms: number): Promise<void> {
    try {
      await inTime(step, ms, this.settings.clock)
    } catch (error) {
      this.#parts.lifecycle.error(error)
    }
  }

  #assertOpen(): void {
    if (this.#state === 'started') return
    const code = this.#state === 'new' ? 'ERR_NOT_STARTED' : 'ERR_CLOSED'
    const text = this.#state === 'new' ? 'Call and await start() first.' : 'The gateway takes no more requests.'
    const error = new GatewayError(code, text, { outcome: 'not-accepted' })
    // Forgotten, as a rule, by whoever set the service up, and the client is not the one to mend it.
    if (this.#state === 'new') this.report(error)
    throw error
  }
}

function stays(): GatewayError {
  return new GatewayError('ERR_CLOSED', 'A closed gateway stays closed; make a new one.')
}

function configError(message: string): GatewayError {
  return new GatewayError('ERR_CONFIG', message)
}
