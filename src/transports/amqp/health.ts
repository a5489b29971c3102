import { isGatewayError } from '../../core/errors.js'
import type { TransportListener } from '../../core/transport.js'
import { unavailable } from './failures.js'

/** Everything that keeps the transport from working, and those who are told when there is something, or nothing more. */
export class Health {
  readonly #listeners: TransportListener[] = []
  readonly #troubles = new Map<unknown, unknown>()

  /** What is wrong, or undefined. */
  get trouble(): unknown {
    return this.#troubles.values().next().value
  }

  get isSound(): boolean {
    return this.#troubles.size === 0
  }

  listen(listener: TransportListener): void {
    this.#listeners.push(listener)
  }

  /** Something does not work; `what` is any value by which `mend` finds it again. */
  break(what: unknown, error: unknown): void {
    const wasSound = this.isSound
    const told = isGatewayError(error) ? error : unavailable('Something on the connection to RabbitMQ is lost.', error)
    this.#troubles.set(what, told)
    if (wasSound) for (const listener of this.#listeners) listener.down(told)
  }

  mend(what: unknown): void {
    if (this.#troubles.delete(what) && this.isSound) for (const listener of this.#listeners) listener.up()
  }

  /** Direct replies that were on their way are gone with their channel. */
  loseReplies(): void {
    for (const listener of this.#listeners) listener.repliesLost?.()
  }

  /** After the end nobody is told anything. */
  reset(): void {
    this.#listeners.length = 0
    this.#troubles.clear()
  }
}
