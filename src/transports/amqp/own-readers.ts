import type { EventMessage } from '../../core/event.js'
import type { Delivery, MessageHandler, Reader } from '../../core/transport.js'

type Queue = Pick<Reader, 'caughtUp' | 'close'>

/**
 * The readers of a transport that have a queue of their own. Requests name the oldest of these queues, whichever user of
 * the transport they come from: what is sent there is therefore for all of them, and a queue whose user has left goes
 * on being read, as answers may be on their way to it, until the last one leaves.
 */
export class OwnReaders {
  readonly #handlers = new Map<Queue, MessageHandler>()
  readonly #left: Queue[] = []

  /** Gives the reader of somebody who has such a queue. */
  join(queue: Queue, handler: MessageHandler): Reader {
    this.#handlers.set(queue, handler)
    return { caughtUp: queue.caughtUp, close: () => this.#leave(queue) }
  }

  /** Hands on what has come to a queue. */
  deliver(queue: Queue, message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
    const own = this.#handlers.get(queue)
    if (own !== undefined && (delivery.isDirect !== true || this.#handlers.size === 1)) return own(message, delivery)
    if (delivery.isDirect !== true) return DONE
    return Promise.all([...this.#handlers.values()].map((handler) => handler(message, delivery))).then(ignore)
  }

  async #leave(queue: Queue): Promise<void> {
    if (!this.#handlers.delete(queue)) return
    this.#left.push(queue)
    if (this.#handlers.size > 0) return
    await Promise.all(this.#left.splice(0).map((each) => each.close()))
  }
}

const DONE = Promise.resolve(undefined)

function ignore(): undefined {}
