import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import { answerParserError, handleCommand } from '../http/handler.js'
import { handleOperations, mountOperations } from '../http/operations.js'
import type { HttpReply, HttpRequest } from '../http/types.js'
import type { Command, GatewayContext } from '../index.js'
import { toHttpRequest, writeReply } from './node.js'

async function answer(req: Request, res: Response, by: (request: HttpRequest) => Promise<HttpReply>): Promise<void> {
  const { originalUrl: url, params, body } = req
  await writeReply(res, await by(toHttpRequest(req, res, { url, params, body, raw: req })))
}

/**
 * Answers a whole route with a command: it reads the body itself where no parser has.
 * @example app.post('/users', handle(createUser))
 */
export function handle(command: Command): RequestHandler {
  return function respondAsync(req, res, next) {
    answer(req, res, (request) => handleCommand(command, request)).catch(next)
  }
}

/**
 * Answers from inside a handler of the application, with data that it has made.
 * @example app.post('/users', requireAuth, (req, res) => respond(createUser, req, res, { name: req.body.name }))
 */
export function respond<Data>(command: Command<Data>, req: Request, res: Response, data: Data): Promise<void> {
  return answer(req, res, (request) => handleCommand(command, request, { data }))
}

/**
 * Serves the operations, without which no request is answered 202. Mount it at the gateway's `operationsPath`.
 * @example app.use('/operations', operations(gateway))
 */
export function operations(gateway: GatewayContext): RequestHandler {
  mountOperations(gateway)
  return function respondAsyncOperations(req, res, next) {
    answer(req, res, (request) => handleOperations(gateway, request)).catch(next)
  }
}

/**
 * Answers what body parsers refuse with problem documents, and leaves other errors to the next error handler.
 * @example app.use(problems(gateway)) // behind the routes
 */
export function problems(gateway: GatewayContext): ErrorRequestHandler {
  return function respondAsyncProblems(error, _req, res, next) {
    const reply = answerParserError(gateway, error)
    if (reply === undefined || res.headersSent) next(error)
    else writeReply(res, reply).catch(next)
  }
}
