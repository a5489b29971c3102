import type { EventMessage } from '../../core/event.js'
import type { Delivery, MessageHandler, Reader } from '../../core/transport.js'

type Queue = Pick<Reader, 'caughtUp' | 'close'>

/** Whoever has a queue, and the types of results that it has asked for. */
export interface OwnUser {
  readonly handler: MessageHandler
  readonly types: ReadonlySet<string>
  /** Whether requests name this queue. */
  isNamed(): boolean
}

/**
 * The readers of a transport that have a queue of their own. Requests name the oldest of these queues, whichever user of
 * the transport they come from: what is sent there is therefore for all of them, and a queue whose user has left goes
 * on being read, as answers may be on their way to it, until the last one leaves.
 */
export class OwnReaders {
  readonly #users = new Map<Queue, OwnUser>()
  readonly #left: Queue[] = []
  /** The one that is alone, as most are. */
  #only: OwnUser | undefined

  /** Gives the reader of somebody who has such a queue. */
  join(queue: Queue, user: OwnUser): Reader {
    this.#users.set(queue, user)
    this.#count()
    return { caughtUp: queue.caughtUp, close: () => this.#leave(queue, user) }
  }

  /** Hands on what has come to a queue by the type of the event, as it has come to each of the others. */
  deliver(queue: Queue, message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
    return this.#users.get(queue)?.handler(message, delivery) ?? DONE
  }

  /**
   * Hands on an event that was sent to a queue by its name, to those who have asked for its type. Recorders have asked
   * for the same types: of another one, such as a slip of the pen, this is the only copy, and it is for all.
   */
  deliverTyped(type: string, message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
    if (this.#only?.types.has(type)) return this.#only.handler(message, delivery)
    const users = [...this.#users.values()].filter(({ types }) => types.has(type))
    return users.length > 0 ? toEach(users, message, delivery) : this.deliverToAll(message, delivery)
  }

  /** Hands on what was sent to nobody but a queue, and may be for any of them. */
  deliverToAll(message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
    const direct = { ...delivery, isDirect: true }
    if (this.#only !== undefined) return this.#only.handler(message, direct)
    return toEach([...this.#users.values()], message, { ...direct, isForSeveral: true })
  }

  /** Answers may be on their way to a queue that was named, but to no other. */
  async #leave(queue: Queue, user: OwnUser): Promise<void> {
    if (!this.#users.delete(queue)) return
    this.#count()
    if (this.#users.size > 0 && user.isNamed()) this.#left.push(queue)
    else await queue.close()
    if (this.#users.size > 0) return
    await Promise.all(this.#left.splice(0).map((each) => each.close()))
  }

  #count(): void {
    const [first] = this.#users.values()
    this.#only = this.#users.size === 1 ? first : undefined
  }
}

const DONE = Promise.resolve(undefined)

function toEach(users: readonly OwnUser[], message: EventMessage, delivery: Delivery): ReturnType<MessageHandler> {
  return Promise.all(users.map(({ handler }) => handler(message, delivery))).then(ignore)
}

function ignore(): undefined {}
