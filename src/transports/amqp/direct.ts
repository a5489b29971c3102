import type { Clock } from '../../core/clock.js'
import type { EventMessage } from '../../core/event.js'
import type { MessageHandler, Reader, Reading } from '../../core/transport.js'

interface Listener {
  readonly kind: Reading['kind']
  readonly onMessage: MessageHandler
  isOpen: boolean
  readonly running: Set<Promise<void>>
}

const ATTEMPTS = 10
const FIRST_DELAY_MS = 10

/**
 * Hands direct replies to everybody in this process who reads results: the broker keeps none, so that a recorder gets
 * its copy from here, and what it wants again it gets again from memory, ten times.
 */
export class DirectReplies {
  readonly #clock: Clock
  readonly #listeners = new Set<Listener>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  deliver(message: EventMessage): void {
    for (const listener of this.#listeners) {
      const run = this.#hand(listener, message).finally(() => listener.running.delete(run))
      listener.running.add(run)
    }
  }

  join(kind: Reading['kind'], onMessage: MessageHandler): Reader {
    const listener: Listener = { kind, onMessage, isOpen: true, running: new Set() }
    this.#listeners.add(listener)
    const close = async (): Promise<void> => {
      listener.isOpen = false
      this.#listeners.delete(listener)
      await Promise.all(listener.running)
    }
    return { caughtUp: Promise.resolve(), close }
  }

  #areSeveral(kind: Reading['kind']): boolean {
    return [...this.#listeners].filter((each) => each.kind === kind).length > 1
  }

  async #hand(listener: Listener, message: EventMessage): Promise<void> {
    for (let attempt = 1; listener.isOpen && attempt <= ATTEMPTS; attempt += 1) {
      try {
        const settlement = await listener.onMessage(message, { attempt, isForSeveral: this.#areSeveral(listener.kind) })
        if (settlement !== 'requeue') return
      } catch {
        // An error means the same as requeue.
      }
      if (listener.kind === 'own') return
      await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, FIRST_DELAY_MS * 2 ** attempt))
    }
  }
}
