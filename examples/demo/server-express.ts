import { createServer } from 'node:http'
import express, { type ErrorRequestHandler, type Response } from 'express'
import { handle, operations, problems, read } from 'respond-async/express'
import type { Demo, Listening } from './demo.js'
import { listen } from './listen.js'
import { type Page, showHealth, showNothing, showProblem } from './pages.js'

/** The demo on Express. */
export function serve(demo: Demo, port: number): Promise<Listening> {
  const app = express()
  app.disable('x-powered-by').enable('strict routing')
  app.all('/users', handle(demo.createUser))
  app.use('/operations', operations(demo.gateway))
  app.get('/users/:id', read(demo.users, { gateway: demo.gateway }))
  app.get('/healthz', (_req, res) => send(res, showHealth(demo)))
  app.use((_req, res) => send(res, showNothing()))
  app.use(problems(demo.gateway), showError)
  return listen(createServer(app), port)
}

function send(res: Response, { status, headers, body }: Page): void {
  res.status(status).set(headers).send(body)
}

/** Errors of Express itself, such as a path that cannot be decoded. */
// biome-ignore lint/complexity/useMaxParams: Express knows error handlers by their four parameters.
const showError: ErrorRequestHandler = (error, _req, res, _next) => {
  const isBadPath = error instanceof URIError
  send(res, isBadPath ? showProblem(400, 'Bad request') : showProblem(500, 'Internal error'))
}
