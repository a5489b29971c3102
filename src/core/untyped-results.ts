import type { CommandPlan } from './definition.js'
import { GatewayError, toGatewayError } from './errors.js'
import { type EventMessage, parseData } from './event.js'
import { hasEnded } from './last-look.js'
import { nameResult } from './naming.js'
import type { GatewayParts } from './parts.js'
import type { Settlement } from './transport.js'
import type { Tries } from './tries.js'
import { ValueLists } from './value-lists.js'

/** What becomes of an answer once it is known what it stands for. */
export interface ResultSink {
  /** It stands for a declared type. */
  use(message: EventMessage): Promise<Settlement | undefined>
  /** It cannot be used: its operation ends all the same. */
  spoil(plan: CommandPlan, message: EventMessage, error: unknown): Promise<Settlement | undefined>
  /** It is no result of its operation's command. */
  refuse(message: EventMessage): Promise<Settlement | undefined>
  /** Nobody knows its operation. */
  miss(message: EventMessage): Promise<Settlement | undefined>
}

/** An answer with the operation that it names. */
export interface Untyped {
  readonly id: string
  readonly message: EventMessage
  /** True when nothing that was sent before it can come behind it. */
  readonly isInOrder: boolean
}

type End = () => Promise<Settlement | undefined>

/**
 * How long values may come behind the end that was sent after them: without a key Kafka spreads them over partitions,
 * and of a queue that several instances share each takes some.
 */
const CLOSE_AFTER_MS = 250

/** Takes up answers that name no declared type, and those that are one of several. */
export class UntypedResults {
  readonly #parts: GatewayParts
  readonly #lists: ValueLists
  /** The last step under way of each operation: an end must not overtake the values before it. */
  readonly #tails = new Map<string, Promise<unknown>>()
  readonly #tries: Tries
  /** Operations of which an answer was given up at the close: what is behind it is for whoever gets them all again. */
  readonly #givenUp = new Set<string>()

  constructor(parts: GatewayParts, tries: Tries) {
    this.#parts = parts
    this.#lists = new ValueLists(parts)
    this.#tries = tries
  }

  async take(untyped: Untyped, sink: ResultSink): Promise<Settlement | undefined> {
    const end = await this.#inOrder(untyped.id, () => this.#first(untyped, sink))
    if (typeof end !== 'function') return end
    if (!untyped.isInOrder) await this.#pause()
    return this.#inOrder(untyped.id, end)
  }

  /** What can be done at once, or the end that may have to wait. */
  async #first({ id, message }: Untyped, sink: ResultSink): Promise<Settlement | undefined | End> {
    const command = await this.#commandOf(id)
    if (command === undefined) return sink.miss(message)
    const plan = this.#parts.commands.get(command)
    if (plan === undefined) return sink.refuse(message)
    try {
      const named = nameResult(plan, message)
      if (named === undefined) return await sink.refuse(message)
      const { reply } = message
      const isFailure = plan.outcomeOf(named.type)?.state === 'failed'
      const isList = plan.definition.replies === 'many' && reply !== undefined && !isFailure
      if (isList) return await this.#takeOneOfMany({ id, plan, named }, sink)
      return reply?.isEmpty && !isFailure ? () => this.#endEmpty(id, named, sink) : await sink.use(named)
    } catch (error) {
      // What the store cannot do now is tried again; what the command's own function has thrown will be thrown again.
      if (toGatewayError(error).retryable) throw error
      return sink.spoil(plan, message, error)
    }
  }

  async #takeOneOfMany({ id, plan, named }: Value, sink: ResultSink): Promise<Settlement | undefined | End> {
    if (!named.reply?.isEmpty) await this.#keep(id, plan, named)
    if (!named.reply?.isLast) return 'ack'
    return async () => {
      if (await hasEnded(this.#parts, id)) return 'ack'
      const body = await this.#lists.collect(id)
      if (body === undefined) return sink.spoil(plan, named, new RangeError('There are too many values.'))
      const settlement = await sink.use({ ...named, contentType: 'application/json', body })
      if (settlement !== 'requeue') await this.#lists.drop(id)
      return settlement
    }
  }

  async #keep(id: string, plan: CommandPlan, named: EventMessage): Promise<void> {
    const { store, lifecycle, pending } = this.#parts
    // What is no JSON would spoil the list, and is shown to clients before there is one.
    parseData(named)
    await this.#lists.add(id, named).catch(explain)
    const operation = await store.progress(id, { ...named, type: `${plan.name}::Progress` })
    if (operation === undefined) return
    lifecycle.note('progress', { operation })
    pending.wake(operation)
  }

  /** Nothing came, or the first value came and this is only the end behind it. */
  async #endEmpty(id: string, named: EventMessage, sink: ResultSink): Promise<Settlement | undefined> {
    return (await hasEnded(this.#parts, id)) ? 'ack' : sink.use(named)
  }

  async #commandOf(id: string): Promise<string | undefined> {
    const { open, store } = this.#parts
    return open.commandOf(id) ?? (await store.get(id))?.command
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.settings.clock.setTimer(resolve, CLOSE_AFTER_MS)
    })
  }

  /** Until the store takes it, while the operation runs: what was sent behind it must not count before it. */
  async #untilDone<T>(id: string, step: () => Promise<T>): Promise<T | 'ack'> {
    if (this.#givenUp.has(id)) throw new GatewayError('ERR_CLOSED', 'What was sent before it was given up.')
    let isOver = false
    try {
      return await this.#tries.until(step, async () => {
        isOver = await hasEnded(this.#parts, id).catch(() => false)
        return isOver
      })
    } catch (error) {
      if (this.#tries.isClosed) this.#givenUp.add(id)
      if (!isOver) throw error
      this.#parts.lifecycle.error(error)
      return 'ack'
    }
  }

  #inOrder<T>(id: string, first: () => Promise<T>): Promise<T | 'ack'> {
    const before = this.#tails.get(id)
    const step = () => this.#untilDone(id, first)
    const result = before === undefined ? step() : before.then(step)
    const tail = result.then(ignore, ignore)
    this.#tails.set(id, tail)
    void tail.then(() => {
      if (this.#tails.get(id) === tail) this.#tails.delete(id)
    })
    return result
  }
}

interface Value {
  readonly id: string
  readonly plan: CommandPlan
  readonly named: EventMessage
}

function explain(error: unknown): never {
  if (toGatewayError(error).retryable) throw error
  throw new GatewayError('ERR_MALFORMED_RESULT', 'The store does not take this value.', { cause: error })
}

function ignore(): void {}
