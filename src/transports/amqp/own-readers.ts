import type { EventMessage } from '../../core/event.js'
import type { Delivery, MessageHandler, Reader } from '../../core/transport.js'

type Queue = Pick<Reader, 'caughtUp' | 'close'>

/** Whoever has a queue, and the types of results that its gateway declares. */
interface User {
  readonly handler: MessageHandler
  readonly types: ReadonlySet<string>
}

/**
 * The readers of a transport that have a queue of their own. Requests name the oldest of these queues, whichever user of
 * the transport they come from: what is sent there is therefore for all of them, and a queue whose user has left goes
 * on being read, as answers may be on their way to it, until the last one leaves.
 */
export class OwnReaders {
  readonly #users = new Map<Queue, User>()
  readonly #left: Queue[] = []
  /** The handler of the one that is alone, as most are. */
  #only: User | undefined

  /** Gives the reader of somebody who has such a queue. */
  join(queue: Queue, handler: MessageHandler, types: ReadonlySet<string>): Reader {
    this.#users.set(queue, { handler, types })
    this.#count()
    return { caughtUp: queue.caughtUp, close: () => this.#leave(queue) }
  }

  /** Hands on what has come to a queue by the type of the event, as it has come to each of the others. */
  deliver(queue: Queue, message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
    return this.#users.get(queue)?.handler(message, delivery) ?? DONE
  }

  /** Hands on what was sent to a queue by its name. */
  deliverToAll(message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
    if (this.#only !== undefined) return this.#only.handler(message, delivery)
    return Promise.all([...this.#users.values()].map(({ handler }) => handler(message, delivery))).then(ignore)
  }

  /** Whether a type is declared by any of them, so that their recorders have asked for it. */
  declares(type: string): boolean {
    if (this.#only !== undefined) return this.#only.types.has(type)
    return [...this.#users.values()].some(({ types }) => types.has(type))
  }

  async #leave(queue: Queue): Promise<void> {
    if (!this.#users.delete(queue)) return
    this.#count()
    this.#left.push(queue)
    if (this.#users.size > 0) return
    await Promise.all(this.#left.splice(0).map((each) => each.close()))
  }

  #count(): void {
    const [first] = this.#users.values()
    this.#only = this.#users.size === 1 ? first : undefined
  }
}

const DONE = Promise.resolve(undefined)

function ignore(): undefined {}
