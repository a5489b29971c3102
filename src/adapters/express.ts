import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerParserError, handleCommand } from '../http/handler.js'
import { handleOperations, mountOperations } from '../http/operations.js'
import { assertCommand, httpSettingsOf } from '../http/settings.js'
import type { HttpReply, HttpRequest, ReadSource } from '../http/types.js'
import type { Command, GatewayContext } from '../index.js'
import { toHttpRequest, writeReply } from './node.js'

/** What is used of a request of Express: its own types differ between the releases that work. */
export interface ExpressRequest extends IncomingMessage {
  readonly originalUrl: string
  readonly params: unknown
  readonly body?: unknown
}

/** Passes a request, or its error, on to what is mounted behind. */
export type ExpressNext = (error?: unknown) => void

/** A handler of Express, and of what takes handlers like its. */
export type ExpressHandler = (req: ExpressRequest, res: ServerResponse, next: ExpressNext) => void

type Answer = (request: HttpRequest) => Promise<HttpReply>

async function answer(req: ExpressRequest, res: ServerResponse, by: Answer): Promise<void> {
  const { originalUrl: url, params, body } = req
  await writeReply(res, await by(toHttpRequest(req, res, { url, params, body, raw: req })))
}

/**
 * Answers a whole route with a command: it reads the body itself where no parser has.
 * @example app.post('/users', handle(createUser))
 */
export function handle(command: Command): ExpressHandler {
  assertCommand(command)
  return function respondAsync(req, res, next) {
    answer(req, res, (request) => handleCommand(command, request)).catch(next)
  }
}

/**
 * Answers from inside a handler of the application, with data that it has made.
 * @example app.post('/users', requireAuth, (req, res) => respond(createUser, req, res, { name: req.body.name }))
 */
export function respond<Data>(
  command: Command<Data>,
  req: ExpressRequest,
  res: ServerResponse,
  data: NoInfer<Data>,
): Promise<void> {
  return answer(req, res, (request) => handleCommand(command, request, { data }))
}

/**
 * Serves the operations, without which no request is answered 202. Mount it at the gateway's `operationsPath`.
 * @example app.use('/operations', operations(gateway))
 */
export function operations(gateway: GatewayContext): ExpressHandler {
  mountOperations(gateway)
  return function respondAsyncOperations(req, res, next) {
    answer(req, res, (request) => handleOperations(gateway, request)).catch(next)
  }
}

/**
 * Answers reads from a read model.
 * @example app.get('/users/:id', read(users, { gateway }))
 */
export function read<Options>(model: ReadSource<Options>, options: Options = {} as Options): ExpressHandler {
  return function respondAsyncRead(req, res, next) {
    answer(req, res, (request) => model.answer(request, options)).catch(next)
  }
}

/**
 * Answers what body parsers refuse with problem documents, and leaves other errors to the next error handler.
 * @example app.use(problems(gateway)) // behind the routes
 */
export function problems(gateway: GatewayContext) {
  // Checked here, as the first error comes too late for it.
  httpSettingsOf(gateway)
  return function respondAsyncProblems(
    error: unknown,
    _req: IncomingMessage,
    res: ServerResponse,
    next: ExpressNext,
  ): void {
    const reply = answerParserError(gateway, error)
    if (reply === undefined || res.headersSent) next(error)
    else writeReply(res, reply).catch(next)
  }
}
