import type { AmqpContent } from '../profiles/amqp-wire.js'

/** amqplib takes whatever it is given, and holds it while the line is slow: beyond this nothing more is. */
const LIMIT_BYTES = 128 * 1024 * 1024
/** What a message costs beside its body, about. */
const HEAD_BYTES = 1024

/** Messages that the broker has not answered for, in the order in which they were published. */
export class Unconfirmed<Message extends { readonly content: AmqpContent }> {
  readonly #messages = new Set<Message>()
  #bytes = 0

  /** False while there are so many, or so large ones, that one more has to wait. */
  hasRoomFor({ body }: AmqpContent): boolean {
    return this.#bytes === 0 || this.#bytes + sizeOf(body) <= LIMIT_BYTES
  }

  add(message: Message): void {
    if (this.#messages.has(message)) return
    this.#messages.add(message)
    this.#bytes += sizeOf(message.content.body)
  }

  /** False when it was not there any more. */
  delete(message: Message): boolean {
    const wasThere = this.#messages.delete(message)
    if (wasThere) this.#bytes -= sizeOf(message.content.body)
    return wasThere
  }

  clear(): void {
    this.#messages.clear()
    this.#bytes = 0
  }

  [Symbol.iterator](): Iterator<Message> {
    return this.#messages.values()
  }
}

function sizeOf(body: Uint8Array): number {
  return body.length + HEAD_BYTES
}
