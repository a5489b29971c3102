import type { Clock } from '../../core/clock.js'
import type { EventMessage } from '../../core/event.js'
import type { MessageHandler } from '../../core/transport.js'
import type { AmqpMessage } from './client.js'
import type { Settler } from './settler.js'

/** What handling in order works with. */
export interface OneByOneOptions {
  readonly clock: Clock
  readonly onMessage: MessageHandler
  /** Undefined for what is no event; throws when the message cannot be understood. */
  parse(message: AmqpMessage): EventMessage | undefined
  count(what: 'poison'): void
  /** Called for one message at a time. */
  handle(message: AmqpMessage, settler: Settler): Promise<void>
}

const FIRST_DELAY_MS = 10
const LONGEST_DELAY_MS = 1000

/** Handles messages in the order in which they come, one at a time. */
export class OneByOne {
  readonly #options: OneByOneOptions
  readonly #waiting: (readonly [AmqpMessage, Settler])[] = []
  #running: Promise<void> | undefined
  #release: (() => void) | undefined
  #isClosed = false

  constructor(options: OneByOneOptions) {
    this.#options = options
  }

  add(message: AmqpMessage, settler: Settler): void {
    settler.delivered(message.fields.deliveryTag)
    if (this.#isClosed) return
    this.#waiting.push([message, settler])
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Forgets what waits: the broker brings it again. */
  clear(): void {
    this.#waiting.length = 0
  }

  /** Resolves when the message that is being handled is. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.clear()
    this.#release?.()
    await this.#running
  }

  /** The event of a message; undefined when there is none, or none that can be understood. */
  read(message: AmqpMessage): EventMessage | undefined {
    try {
      return this.#options.parse(message)
    } catch {
      this.#options.count('poison')
      return undefined
    }
  }

  /** Until it succeeds: a gap would never be noticed. False when it was closed meanwhile. */
  async ask(event: EventMessage, position: string): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const settlement = await this.#options.onMessage(event, { attempt, position })
        if (settlement !== 'requeue') return true
      } catch {
        // It is tried again as if it had asked for it.
      }
      await this.#pause(attempt)
      if (this.#isClosed) return false
    }
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#options.handle(...next)
      if (this.#isClosed) return
    }
  }

  async #pause(attempt: number): Promise<void> {
    if (this.#isClosed) return
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.setTimer(resolve, delayOf(attempt))
      this.#release = () => {
        cancel()
        resolve()
      }
    })
    this.#release = undefined
  }
}

/** 10 ms, 20 ms, up to 1 s. */
export function delayOf(attempt: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS)
}
