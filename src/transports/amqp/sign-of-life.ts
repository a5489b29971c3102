import type { AmqpChannel, AmqpConnection } from './client.js'

interface Kept {
  readonly connection: AmqpConnection
  readonly channel: Promise<AmqpChannel>
  isAsked: boolean
}

/** Asks the broker whether it answers, on a channel that is kept: to open one each time costs it more than to answer. */
export class SignOfLife {
  #kept: Kept | undefined

  /** Resolves when the broker has answered. */
  async ask(connection: AmqpConnection): Promise<void> {
    const kept = this.#on(connection)
    kept.isAsked = true
    try {
      // Any call does that needs no permission and names nothing that could be missing, which would end the channel.
      await (await kept.channel).prefetch(1)
      kept.isAsked = false
    } catch (error) {
      this.#drop(kept)
      throw error
    }
  }

  close(): void {
    if (this.#kept !== undefined) this.#drop(this.#kept)
  }

  /** The channel of this connection; another one where the last question is still without an answer. */
  #on(connection: AmqpConnection): Kept {
    const last = this.#kept
    if (last?.connection === connection && !last.isAsked) return last
    if (last !== undefined) this.#drop(last)
    const kept: Kept = { connection, channel: connection.createChannel(), isAsked: false }
    this.#kept = kept
    const watch = (channel: AmqpChannel): void => {
      // The close that follows says it, too.
      channel.on('error', () => {})
      channel.on('close', () => this.#drop(kept))
    }
    kept.channel.then(watch, () => {})
    return kept
  }

  #drop(kept: Kept): void {
    if (this.#kept === kept) this.#kept = undefined
    void kept.channel.then((channel) => channel.close()).catch(() => {})
  }
}
