import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyReply } from 'fastify'
import { handle, operations, problems, read } from 'respond-async/fastify'
import type { Demo, Listening } from './demo.js'
import { BACKLOG } from './listen.js'
import { type Page, showHealth, showNothing, showProblem } from './pages.js'

/** The demo on Fastify. */
export async function serve(demo: Demo, port: number): Promise<Listening> {
  const app = Fastify({
    // A path that cannot be decoded.
    frameworkErrors: (_error, _request, reply) => send(reply, showProblem(400, 'Bad request')),
    // `__proto__` is a member like others here: the schema of the event drops what it does not know.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
  })
  app.register(problems(demo.gateway))
  app.register(operations(demo.gateway))
  app.all('/users', handle(demo.createUser))
  app.get('/users/:id', read(demo.users, { gateway: demo.gateway }))
  app.get('/healthz', (_request, reply) => send(reply, showHealth(demo)))
  app.setNotFoundHandler((_request, reply) => send(reply, showNothing()))
  await app.listen({ port, backlog: BACKLOG })
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
}

function send(reply: FastifyReply, { status, headers, body }: Page): FastifyReply {
  return reply.code(status).headers(headers).send(body)
}
