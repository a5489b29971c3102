import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify, { type FastifyInstance, type RouteHandlerMethod } from 'fastify'
import { Hono } from 'hono'
import * as forExpress from 'respond-async/express'
import * as forFastify from 'respond-async/fastify'
import * as forFetch from 'respond-async/fetch'
import type { AdapterTarget, ContractRoute, ContractSetup } from 'respond-async/testing'

const require = createRequire(import.meta.url)

async function listen(listener: RequestListener) {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

function expressTarget(name: string, framework: typeof express, withParser: boolean): AdapterTarget {
  return {
    name,
    start({ gateway, routes, operations, headers }) {
      const app = framework()
      app.use((_req, res, next) => {
        res.set(headers)
        next()
      })
      if (withParser) app.use(framework.json())
      for (const { method, path, command, respond } of routes) {
        const handler: express.RequestHandler = respond
          ? (req, res) => forExpress.respond(command, req, res, respond.data)
          : forExpress.handle(command)
        if (method === 'ALL') app.all(path, handler)
        else app.post(path, handler)
      }
      if (operations) app.use('/operations', forExpress.operations(gateway))
      app.use(forExpress.problems(gateway))
      return listen(app)
    },
  }
}

function fastifyTarget(name: string, framework: typeof fastify, withParser: boolean): AdapterTarget {
  return {
    name,
    async start({ gateway, routes, operations, headers }) {
      const app: FastifyInstance = framework()
      app.addHook('onRequest', async (_request, reply) => void reply.headers(headers))
      app.register(forFastify.problems(gateway))
      if (!withParser) {
        app.removeAllContentTypeParsers()
        app.addContentTypeParser('*', (_request, _payload, done) => done(null))
      }
      for (const { method, path, command, respond } of routes) {
        const handler: RouteHandlerMethod = respond
          ? (request, reply) => forFastify.respond(command, request, reply, respond.data)
          : forFastify.handle(command)
        if (method === 'ALL') app.all(path, handler)
        else app.post(path, handler)
      }
      if (operations) app.register(forFastify.operations(gateway))
      const url = await app.listen({ host: '127.0.0.1', port: 0 })
      return { url, close: () => app.close() }
    },
  }
}

function honoTarget(name: string): AdapterTarget {
  return {
    name,
    start({ gateway, routes, operations, headers }) {
      const app = new Hono()
      app.use(async (context, next) => {
        await next()
        for (const [header, value] of Object.entries(headers)) context.header(header, value, { append: true })
      })
      for (const { method, path, command, respond } of routes) {
        const handler = forFetch.handle(command)
        app.on(method === 'ALL' ? METHODS : [method], path, (context) =>
          respond
            ? forFetch.respond(command, context.req.raw, respond.data)
            : handler(context.req.raw, { params: context.req.param() }),
        )
      }
      if (operations) {
        const handler = forFetch.operations(gateway)
        app.all('/operations/*', (context) => handler(context.req.raw))
      }
      return listen(getRequestListener(app.fetch))
    },
  }
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

function bareTarget(name: string): AdapterTarget {
  return {
    name,
    start: async (setup) => {
      const route = router(setup)
      return listen(
        getRequestListener(async (request) => {
          const response = await route(request)
          for (const [header, value] of Object.entries(setup.headers)) response.headers.append(header, value)
          return response
        }),
      )
    },
  }
}

function router({ gateway, routes, operations }: ContractSetup): (request: Request) => Promise<Response> {
  const served = operations ? forFetch.operations(gateway) : undefined
  return async (request) => {
    const { pathname } = new URL(request.url)
    if (served && /^\/operations(\/|$)/.test(pathname)) return served(request)
    for (const { method, path, command, respond } of routes) {
      const params = match(path, pathname)
      if (params === undefined || (method !== 'ALL' && method !== request.method)) continue
      return respond ? forFetch.respond(command, request, respond.data) : forFetch.handle(command)(request, { params })
    }
    return new Response('nothing here', { status: 404 })
  }
}

function match(path: ContractRoute['path'], pathname: string): Record<string, string> | undefined {
  const pattern = new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`)
  const found = pattern.exec(pathname)
  if (found === null) return undefined
  return Object.fromEntries(
    Object.entries(found.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
  )
}

/** Every framework and version that is supported, with and without its own body parser in front. */
export const targets: readonly AdapterTarget[] = [true, false]
  .flatMap((withParser) => {
    const suffix = withParser ? 'with its body parser' : 'without a body parser'
    return [
      expressTarget(`express 5 ${suffix}`, express, withParser),
      expressTarget(`express 4 ${suffix}`, require('express4') as typeof express, withParser),
      fastifyTarget(`fastify latest ${suffix}`, fastify, withParser),
      fastifyTarget(`fastify 5.0 ${suffix}`, require('fastify50') as typeof fastify, withParser),
    ]
  })
  .concat(honoTarget('hono'), bareTarget('fetch'))
