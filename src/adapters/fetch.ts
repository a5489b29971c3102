import { collectBody } from '../http/body.js'
import { handleCommand } from '../http/handler.js'
import { handleOperations, mountOperations } from '../http/operations.js'
import type { HttpReply, HttpRequest } from '../http/types.js'
import type { Command, GatewayContext, OnGone } from '../index.js'

/** What a router knows of a request. */
export interface FetchContext {
  /** Parameters of the route's path. */
  readonly params?: Readonly<Record<string, string>>
  /** The parsed body, where something has read it already. */
  readonly body?: unknown
}

/** Answers a Web request, as Hono, Next, Bun and Deno hand it on. */
export type FetchHandler = (request: Request, context?: FetchContext) => Promise<Response>

/**
 * Answers a whole route with a command.
 * @example const create = handle(createUser); app.post('/users', (c) => create(c.req.raw))
 */
export function handle(command: Command): FetchHandler {
  return (request, context) => answer(request, context, (translated) => handleCommand(command, translated))
}

/** Answers from inside a handler of the application, with data that it has made. */
export function respond<Data>(command: Command<Data>, request: Request, data: Data): Promise<Response> {
  return answer(request, undefined, (translated) => handleCommand(command, translated, { data }))
}

/**
 * Serves the operations, without which no request is answered 202; it wants every method, at and below `operationsPath`.
 * @example const serve = operations(gateway); app.all('/operations/*', (c) => serve(c.req.raw))
 */
export function operations(gateway: GatewayContext): FetchHandler {
  mountOperations(gateway)
  return (request) => answer(request, undefined, (translated) => handleOperations(gateway, translated))
}

type Answer = (request: HttpRequest) => Promise<HttpReply>

async function answer(request: Request, context: FetchContext | undefined, by: Answer): Promise<Response> {
  const { pathname, search } = new URL(request.url)
  const { method } = request
  const { params = {}, body } = context ?? {}
  const left = new Set<() => void>()
  const onGone: OnGone = (listener) => {
    const leave = () => listener(request.signal.reason)
    left.add(leave)
    if (request.signal.aborted) leave()
    else request.signal.addEventListener('abort', leave)
    return () => {
      left.delete(leave)
      request.signal.removeEventListener('abort', leave)
    }
  }
  const isOpen = body === undefined && method !== 'GET' && method !== 'HEAD'
  const readBody = isOpen ? (limit: number) => readAll(request, limit) : undefined
  const headers = Object.fromEntries(request.headers)
  const reply = await by({ method, url: pathname + search, params, headers, body, readBody, onGone, raw: request })
  const { status, closeConnection, stream } = reply
  return new Response(stream ? toBytes(stream, left) : (reply.body ?? null), {
    status,
    headers: closeConnection ? { ...reply.headers, connection: 'close' } : reply.headers,
  })
}

/** A body of known length is read at once, for which servers have a fast path; they cut it at that length. */
function readAll(request: Request, limit: number): Promise<Uint8Array> {
  const length = request.headers.get('content-length') ?? undefined
  if (request.bodyUsed) return collectBody([], limit)
  return collectBody(length === undefined ? (request.body ?? []) : whole(request), limit, length)
}

async function* whole(request: Request): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(await request.arrayBuffer())
}

/** A reader that cancels has left, just as one whose connection is gone. */
function toBytes(chunks: AsyncIterable<string>, left: ReadonlySet<() => void>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
    async cancel() {
      for (const leave of left) leave()
      await iterator.return?.()
    },
  })
}
