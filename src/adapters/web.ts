import type { OnGone } from '../index.js'

/** How the HTTP layer hears that the one who asked has left, by the request's signal or by a canceled body. */
export interface Departure {
  readonly onGone: OnGone
  /** The reader of the answer has canceled it. */
  leave(): void
}

/** Watches a request; its signal is not touched before somebody waits, as many servers make it when it is asked for. */
export function departureOf(request: Request): Departure {
  let hasLeft = false
  let listening: (() => void) | undefined
  return {
    onGone(listener) {
      const gone = () => listener()
      listening = gone
      // A reader may cancel while nobody listens; then the next to listen hears of it.
      if (hasLeft || request.signal.aborted) gone()
      else request.signal.addEventListener('abort', gone)
      return () => {
        listening = undefined
        request.signal.removeEventListener('abort', gone)
      }
    },
    leave() {
      hasLeft = true
      listening?.()
    },
  }
}

/** The body of an event stream. A reader that cancels has left, just as one whose connection is gone. */
export function toBytes(chunks: AsyncIterable<string>, leave: () => void): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      return done ? controller.close() : controller.enqueue(Buffer.from(value))
    },
    async cancel() {
      leave()
      await iterator.return?.()
    },
  })
}
