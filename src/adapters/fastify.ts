import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { answerParserError, handleCommand } from '../http/handler.js'
import { handleOperations, mountOperations } from '../http/operations.js'
import { type AnyGateway, assertCommand, httpSettingsOf } from '../http/settings.js'
import type { HttpReply, HttpRequest, ReadSource } from '../http/types.js'
import type { Command, GatewayContext } from '../index.js'
import { eachHeader, mergeHeader, payloadOf, toHttpRequest, toText } from './node.js'

type RouteHandler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Resolves when the answer is written: Fastify answers by itself where a handler has come to its end before. */
function answer(request: FastifyRequest, reply: FastifyReply, by: (request: HttpRequest) => Promise<HttpReply>) {
  const { originalUrl: url, params, body, raw } = request
  return by(toHttpRequest(raw, reply.raw, { url, params, body, raw: request })).then((made) => send(reply, made))
}

function send(reply: FastifyReply, answer: HttpReply): unknown {
  if (reply.sent || reply.raw.destroyed) {
    reply.hijack()
    return undefined
  }
  reply.code(answer.status)
  eachHeader(answer, reply.request.raw, (name, value) => reply.header(name, mergeHeader(name, value, reply)))
  // Without a serializer of its own Fastify would add a charset to a text, or apply the serializer of the scope. It
  // stays when a hook fails, and an error handler then answers with data.
  return reply.serializer(toText).send(payloadOf(answer, reply.getHeaders()))
}

/**
 * Answers a whole route with a command. A `handlerTimeout` of the route must be longer than the command's wait.
 * @example app.post('/users', handle(createUser))
 */
export function handle(command: Command): RouteHandler {
  assertCommand(command)
  return (request, reply) => answer(request, reply, (translated) => handleCommand(command, translated))
}

/**
 * Answers from inside a handler of the application, with data that it has made. The handler must await it.
 * @example app.post('/users', (request, reply) => respond(createUser, request, reply, { name: 'Ann' }))
 */
export function respond<Data>(
  command: Command<Data>,
  request: FastifyRequest,
  reply: FastifyReply,
  data: NoInfer<Data>,
) {
  return answer(request, reply, (translated) => handleCommand(command, translated, { data }))
}

/**
 * Serves the operations, without which no request is answered 202, at the gateway's `operationsPath`.
 * Closing the app closes the gateway: requests that wait are answered first, so that they do not hold the app up.
 * @example app.register(operations(gateway))
 */
export function operations(gateway: AnyGateway): FastifyPluginAsync<{ readonly prefix?: string }> {
  return async function respondAsyncOperations(scope, { prefix }) {
    const path = httpSettingsOf(gateway).operationsPath
    // What the scope's own prefix leaves of the path, unless the caller has named another one.
    const rest = prefix === undefined && path.startsWith(`${scope.prefix}/`) ? path.slice(scope.prefix.length) : ''
    mountOperations(gateway, scope.prefix + rest)
    // No body is of interest here, so none can be refused before the method is.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', async () => undefined)
    scope.addHook('preClose', () => gateway.close())
    const handler: RouteHandler = (request, reply) =>
      answer(request, reply, (translated) => handleOperations(gateway, translated))
    scope.all(rest || '/', handler)
    scope.all(`${rest}/*`, handler)
  }
}

/**
 * Answers reads from a read model.
 * @example app.get('/users/:id', read(users, { gateway }))
 */
export function read<Options>(model: ReadSource<Options>, options: Options = {} as Options): RouteHandler {
  return (request, reply) => answer(request, reply, (translated) => model.answer(translated, options))
}

/**
 * Answers what body parsers refuse with problem documents, in the scope that registers it; other errors are left to
 * the error handler that the scope had before.
 * @example app.register(problems(gateway))
 */
export function problems(gateway: GatewayContext): FastifyPluginAsync {
  // Checked here, as the first error comes too late for it.
  httpSettingsOf(gateway)
  const plugin: FastifyPluginAsync = async (scope) =>
    void scope.setErrorHandler(async (error, _request, reply) => {
      const refusal = answerParserError(gateway, error)
      if (refusal === undefined) throw error
      await send(reply, refusal)
    })
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true })
}
