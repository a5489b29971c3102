import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { handle, operations, read } from 'respond-async/fetch'
import type { Demo, Listening } from './demo.js'
import { listen } from './listen.js'
import { type Page, showHealth, showNothing } from './pages.js'

/** The demo as one function from Request to Response, which runs wherever such functions do. */
export function createFetchHandler(demo: Demo): (request: Request) => Promise<Response> {
  const createUser = handle(demo.createUser)
  const serveOperations = operations(demo.gateway)
  const readUser = read(demo.users, { gateway: demo.gateway })
  return async function fetch(request) {
    const { pathname } = new URL(request.url)
    const [, first, id, ...more] = pathname.split('/')
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (first === 'operations') return serveOperations(request)
    if (pathname === '/users') return createUser(request)
    if (isRead && first === 'users' && id && more.length === 0) return readUser(request)
    if (isRead && pathname === '/healthz') return toResponse(showHealth(demo))
    return toResponse(showNothing())
  }
}

/** The demo as Web requests and responses, here on node:http. */
export function serve(demo: Demo, port: number): Promise<Listening> {
  return listen(createAdaptorServer({ fetch: createFetchHandler(demo) }) as Server, port)
}

function toResponse({ status, headers, body }: Page): Response {
  return new Response(body, { status, headers })
}
