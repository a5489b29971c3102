import { collectBody } from '../http/body.js'
import { handleCommand } from '../http/handler.js'
import { handleOperations, mountOperations } from '../http/operations.js'
import { besideHead } from '../http/safe-headers.js'
import { assertCommand } from '../http/settings.js'
import type { HttpReply, HttpRequest, ReadSource } from '../http/types.js'
import type { Command, GatewayContext } from '../index.js'
import { departureOf, toBytes } from './web.js'

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
  assertCommand(command)
  return (request, context) => answer((translated) => handleCommand(command, translated), request, context)
}

/** Answers from inside a handler of the application, with data that it has made. */
export function respond<Data>(command: Command<Data>, request: Request, data: NoInfer<Data>): Promise<Response> {
  return answer((translated) => handleCommand(command, translated, { data }), request)
}

/**
 * Serves the operations, without which no request is answered 202; it wants every method, at and below `operationsPath`.
 * @example const serve = operations(gateway); app.all('/operations/*', (c) => serve(c.req.raw))
 */
export function operations(gateway: GatewayContext): FetchHandler {
  mountOperations(gateway)
  return (request) => answer((translated) => handleOperations(gateway, translated), request)
}

/**
 * Answers reads from a read model.
 * @example const serve = read(users, { gateway }); app.get('/users/:id', (c) => serve(c.req.raw))
 */
export function read<Options>(model: ReadSource<Options>, options: Options = {} as Options): FetchHandler {
  return (request, context) => answer((translated) => model.answer(translated, options), request, context)
}

type Answer = (request: HttpRequest) => Promise<HttpReply>

async function answer(by: Answer, request: Request, { params = {}, body }: FetchContext = {}): Promise<Response> {
  const { pathname, search } = new URL(request.url)
  const { method } = request
  const headers = Object.fromEntries(request.headers)
  const isOpen = body === undefined && method !== 'GET' && method !== 'HEAD'
  const length = headers['content-length']
  const readBody = isOpen ? (limit: number) => collectBody(bodyOf(request), limit, length) : undefined
  const departure = departureOf(request)
  const { onGone } = departure
  const reply = await by({ method, url: pathname + search, params, headers, body, readBody, onGone, raw: request })
  const closing = reply.closeConnection && { connection: 'close' }
  const init = { status: reply.status, headers: { ...reply.headers, ...closing } }
  const written = besideHead(reply.body, init.headers) ?? null
  return new Response(reply.stream ? toBytes(reply.stream, departure.leave) : written, init)
}

/** A body of known length is read in one go, for which servers have a fast path; they cut it at that length. */
async function* bodyOf(request: Request): AsyncGenerator<Uint8Array> {
  if (request.bodyUsed) return
  if (request.headers.has('content-length')) yield new Uint8Array(await request.arrayBuffer())
  else yield* request.body ?? []
}
