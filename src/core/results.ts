import type { CommandPlan } from './definition.js'
import { type Event, type EventMessage, parseData, toEvent } from './event.js'
import { normaliseId } from './ids.js'
import { hasEnded } from './last-look.js'
import type { LifecycleEvent, LifecycleEvents, ResultNote } from './lifecycle.js'
import { describeMalformed } from './malformed.js'
import type { Ending, Settled } from './operation.js'
import { Orphans } from './orphans.js'
import type { GatewayParts } from './parts.js'
import { validateData } from './schema.js'
import type { Delivery, Settlement } from './transport.js'
import { Tries } from './tries.js'
import { isMalformed, type Joined, Twins } from './twins.js'
import { type ResultSink, UntypedResults } from './untyped-results.js'

type ResultEventName = {
  [Name in LifecycleEvent]: LifecycleEvents[Name] extends ResultNote ? Name : never
}[LifecycleEvent]

const DONE: Promise<undefined> = Promise.resolve(undefined)
/** A result may overtake the record of its operation, or belong to somebody else: it is looked up this often. */
const LOOK_UPS = 3

/** Verdicts that are announced under their own names. */
const NOTES = { late: 'late', duplicate: 'duplicate', conflict: 'conflict' } as const

/**
 * Takes up results. Each gateway reads its own copy, which is fast and only for those who wait here; one of them all
 * reads the shared copy, which is settled after the compare-and-set, so that no result is lost with an instance.
 * Either way the store decides, and those who wait get its verdict.
 */
export class Results {
  readonly #parts: GatewayParts
  readonly #byType = new Map<string, CommandPlan[]>()
  readonly #progressTypes = new Set<string>()
  /** Messages that the one reader has found to be sound and the other is about to see. */
  readonly #checked = new WeakSet<EventMessage>()
  readonly #tries: Tries
  readonly #untyped: UntypedResults
  readonly #twins = new Twins()
  readonly #orphans: Orphans

  constructor(parts: GatewayParts) {
    this.#parts = parts
    this.#orphans = new Orphans(parts)
    this.#tries = new Tries(parts.settings.clock)
    this.#untyped = new UntypedResults(parts, this.#tries)
    for (const command of parts.commands.values()) {
      for (const type of command.resultTypes) this.#byType.set(type, [...(this.#byType.get(type) ?? []), command])
      for (const type of command.progressTypes) this.#progressTypes.add(type)
    }
  }

  /** The types of events that are of interest here. */
  get types(): readonly string[] {
    return [...this.#byType.keys(), ...this.#progressTypes]
  }

  /** Gives up what the store has not taken so far; before the readers are closed, which wait for it. */
  close(): void {
    this.#tries.close()
  }

  /** Reads this gateway's own copy: what nobody here waits for is dropped unread. Never rejects. */
  wake(message: EventMessage, delivery: Delivery): Promise<undefined> {
    const id = normaliseId(message.correlationId)
    if (id !== undefined && this.#parts.pending.has(id)) return this.#wake(id, message, delivery)
    this.#note('skipped', id, message)
    return DONE
  }

  /** Reads the shared copy: every result of a running operation ends up in the store, whoever waits for it or not. */
  record(message: EventMessage, delivery: Delivery): Promise<Settlement> {
    const id = normaliseId(message.correlationId)
    if (id !== undefined && this.#isTyped(message)) return this.#recordResult(id, message, delivery)
    return this.#recordOfNoResult(id, message, delivery)
  }

  /** One of several values may have a declared type, and is no result for all that. */
  #isTyped({ type, reply }: EventMessage): boolean {
    return reply === undefined && this.#byType.has(type)
  }

  async #recordOfNoResult(id: string | undefined, message: EventMessage, delivery: Delivery): Promise<Settlement> {
    if (id === undefined) this.#note('foreign', id, message)
    else if (!this.#progressTypes.has(message.type)) {
      const sink = {
        ...this.#sink(id),
        use: (named: EventMessage) => this.#recordResult(id, named, delivery),
        refuse: (refused: EventMessage) => this.#recordUndeclared(id, refused, delivery),
        miss: async (missed: EventMessage) => {
          this.#orphans.noteForeign(id, missed, delivery)
          return 'ack' as const
        },
      }
      return (await this.#untyped.take({ id, message, isInOrder: delivery.isDirect === true }, sink)) ?? 'ack'
    } else if (!(await this.#progress(id, message))) this.#note('malformed', id, message)
    return 'ack'
  }

  /**
   * Reads a copy that nobody else will see, and that is never sent again: it is looked up once, and what the store cannot
   * take for now is tried again until it does, while the operation runs. Never rejects.
   */
  recordAlone(message: EventMessage, delivery: Delivery): Promise<Settlement | undefined> {
    const record = () => this.record(message, { ...delivery, attempt: LOOK_UPS })
    const isOver = () => hasEnded(this.#parts, normaliseId(message.correlationId) ?? '').catch(() => false)
    return this.#tries.until(record, isOver).catch(this.#report)
  }

  /** Records what came before its operation, or to an instance without its command. */
  adoptOrphans(): Promise<void> {
    return this.#orphans.adopt((message) => this.record(message, { attempt: LOOK_UPS }))
  }

  #wake(id: string, message: EventMessage, { isDirect = false }: Delivery): Promise<undefined> {
    if (this.#isTyped(message)) return this.#wakeResult(id, message)
    const woken = this.#progressTypes.has(message.type)
      ? this.#progress(id, message)
      : this.#untyped.take({ id, message, isInOrder: isDirect }, this.#sink(id))
    return woken.then(ignore, this.#report)
  }

  #wakeResult(id: string, message: EventMessage): Promise<undefined> {
    return this.#complete(id, message).then((settled) => this.#noteKept(id, message, settled), this.#report)
  }

  /** What this gateway's own reader makes of answers without a declared type: what is none the recorder reports. */
  #sink(id: string): ResultSink {
    return {
      use: (named) => this.#wakeResult(id, named),
      spoil: async (plan, message, error) => {
        // The command's own function has failed, or else the answer alone is to blame.
        if (!message.isUnreadable) this.#report(error)
        const settled = await this.#settleNoting(id, this.#unsound(plan, message, error), message)
        return isMalformed(settled) ? 'park' : 'ack'
      },
      refuse: () => DONE,
      miss: () => DONE,
    }
  }

  readonly #report = (error: unknown): undefined => {
    this.#parts.lifecycle.error(error)
    return undefined
  }

  /** What was kept beside the end is news to one reader only: the other finds it there. */
  #noteKept(id: string, message: EventMessage, settled: Settled | Joined | undefined): undefined {
    const verdict = settled?.verdict
    if (verdict === 'late' || verdict === 'conflict') this.#note(verdict, id, message)
    return undefined
  }

  // A chain instead of an async function, here and on the way to the store: every result comes through, and the frame
  // of an async function takes four times the memory.
  #recordResult(id: string, message: EventMessage, delivery: Delivery): Promise<Settlement> {
    return this.#complete(id, message).then((settled) => {
      // Its operation has failed, or had ended before; whoever looks for the cause finds it among the dead letters.
      if (isMalformed(settled)) return 'park'
      return settled?.verdict === 'won' ? 'ack' : this.#recordOther(message, delivery, settled)
    })
  }

  /** A result that ended nothing. */
  async #recordOther(message: EventMessage, delivery: Delivery, settled: Settled | Joined | undefined) {
    const id = normaliseId(message.correlationId) ?? ''
    if (settled === undefined) {
      if (delivery.attempt < LOOK_UPS) return 'requeue'
      // A record is there before its request is published, so what a store of one's own does not know is not ours.
      if (this.#parts.storeKind === 'own' || delivery.isForSeveral) this.#note('foreign', id, message)
      else await this.#orphans.keepUnknown(id, message)
    } else if (settled.verdict === 'foreign') {
      await this.#orphans.keepUnexpected(settled.operation, message, delivery)
    } else if (settled.verdict in NOTES) this.#note(NOTES[settled.verdict as keyof typeof NOTES], id, message)
    return 'ack'
  }

  async #recordUndeclared(id: string, message: EventMessage, delivery: Delivery): Promise<Settlement> {
    const operation = await this.#parts.store.get(id)
    if (operation === undefined) this.#orphans.noteForeign(id, message, delivery)
    else await this.#orphans.keepUnexpected(operation, message, delivery)
    return 'ack'
  }

  #complete(id: string, message: EventMessage): Promise<Settled | Joined | undefined> {
    const { storeKind, settings } = this.#parts
    if (storeKind !== 'given' || settings.wake !== 'transport') return this.#completeAlone(id, message)
    return this.#twins.once(`${id} ${message.id}`, () => this.#completeAlone(id, message))
  }

  #completeAlone(id: string, message: EventMessage): Promise<Settled | undefined> {
    const commands = this.#byType.get(message.type) ?? []
    const [command] = commands
    return command !== undefined && commands.length === 1
      ? this.#completeFor(command, id, message)
      : this.#completeForOneOf(commands, id, message)
  }

  async #completeForOneOf(commands: readonly CommandPlan[], id: string, message: EventMessage) {
    let settled: Settled | undefined
    for (const command of commands) {
      settled = await this.#completeFor(command, id, message)
      if (settled?.verdict !== 'foreign') return settled
    }
    return settled
  }

  #completeFor(command: CommandPlan, id: string, message: EventMessage): Promise<Settled | undefined> {
    const { settle } = this.#parts
    // The one who waits gets this view of the event, so that its data are parsed once; schemas may change what they see.
    const hasSchema = this.#parts.settings.events[message.type] !== undefined
    const event = hasSchema ? undefined : toEvent(message)
    const ending = this.#endingOf(command, message, event)
    if (ending instanceof Promise) return ending.then((found) => this.#settleNoting(id, found, message))
    return 'result' in ending ? settle(id, ending, event) : this.#settleNoting(id, ending, message)
  }

  async #settleNoting(id: string, ending: Ending, message: EventMessage): Promise<Settled | undefined> {
    const settled = await this.#parts.settle(id, ending)
    if ('error' in ending && settled?.verdict === 'won') this.#note('malformed', id, message)
    return settled
  }

  /** Parsed and checked by whichever reader comes first; asynchronous only where the schema is. */
  #endingOf(command: CommandPlan, message: EventMessage, event?: Event): Ending | Promise<Ending> {
    if (this.#checked.delete(message)) return this.#sound(command, message)
    try {
      const data = validateData(this.#parts.settings.events[message.type], event ? event.data : parseData(message))
      if (data instanceof Promise) return this.#endingOnceValid(command, message, data)
      this.#remember(message)
      return this.#sound(command, message)
    } catch (error) {
      return this.#unsound(command, message, error)
    }
  }

  async #endingOnceValid(command: CommandPlan, message: EventMessage, validation: Promise<unknown>): Promise<Ending> {
    try {
      await validation
      this.#remember(message)
      return this.#sound(command, message)
    } catch (error) {
      return this.#unsound(command, message, error)
    }
  }

  #sound(command: CommandPlan, message: EventMessage): Ending {
    const state = command.outcomeOf(message.type)?.state ?? 'failed'
    return { state, result: message, command: command.name }
  }

  #unsound(command: CommandPlan, message: EventMessage, error: unknown): Ending {
    const text = describeMalformed(message, error)
    return { state: 'failed', error: { code: 'ERR_MALFORMED_RESULT', message: text }, command: command.name }
  }

  #remember(message: EventMessage): void {
    // Only a second reader in this process sees the same object; elsewhere nobody takes it out again.
    if (this.#parts.storeKind !== 'given') return
    this.#checked.add(message)
  }

  /** Gives whether the event can be used; clients are shown its data, so what is no JSON is dropped. */
  async #progress(id: string, message: EventMessage): Promise<boolean> {
    const { settings, store, lifecycle, pending } = this.#parts
    try {
      await validateData(settings.events[message.type], parseData(message))
    } catch {
      return false
    }
    const operation = await store.progress(id, message)
    if (operation === undefined) return true
    lifecycle.note('progress', { operation })
    pending.wake(operation)
    return true
  }

  #note(name: ResultEventName, id: string | undefined, message: EventMessage): void {
    this.#parts.lifecycle.note(name, { id, type: message.type })
  }
}

function ignore(): undefined {}
