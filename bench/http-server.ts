import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import type { EventMessage } from 'respond-async'
import * as onExpress from 'respond-async/express'
import * as onFastify from 'respond-async/fastify'
import * as onFetch from 'respond-async/fetch'
import { type Bridge, createBridge } from './bridge.js'
import { createBackEnd, createBenchGateway, type StoreKind } from './setup.js'

/** The frameworks, and what answers in them: nothing but the framework, the hand-written bridge, or the gateway. */
export type Framework = 'fastify' | 'express' | 'node:http'

/** Who answers. */
export type Responder = 'bare' | 'bridge' | 'gateway' | 'gateway without store'

interface User {
  readonly id?: string
  readonly username: string
}

/** Starts a server in this process and gives its port. */
export async function startServer(framework: Framework, responder: Responder): Promise<number> {
  const transport = await createBackEnd()
  // One of the two at most: the other would read every result as well.
  const parts: Parts = {
    gateway: responder.startsWith('gateway') ? await createBenchGateway(transport, storeOf(responder)) : undefined,
    bridge: responder === 'bridge' ? await createBridge(transport) : undefined,
  }
  if (framework === 'fastify') return startFastify(parts)
  return framework === 'express' ? startExpress(parts) : startFetch(parts)
}

interface Parts {
  readonly gateway: Awaited<ReturnType<typeof createBenchGateway>> | undefined
  readonly bridge: Bridge | undefined
}

function storeOf(responder: Responder): StoreKind {
  return responder === 'gateway' ? 'memory' : 'none'
}

async function startFastify({ gateway, bridge }: Parts): Promise<number> {
  const app = fastify()
  if (gateway !== undefined) {
    app.register(onFastify.operations(gateway.gateway))
    app.post('/users', onFastify.handle(gateway.createUser))
  } else if (bridge !== undefined) {
    app.post('/users', async (request, reply) => {
      const { status, location, body } = toAnswer(await bridge.request(request.body, 5000))
      return reply.code(status).header('location', location).send(body)
    })
  } else app.post('/users', async ({ body }, reply) => reply.code(201).send({ id: '1', ...(body as User) }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

async function startExpress({ gateway, bridge }: Parts): Promise<number> {
  const app = express()
  app.use(express.json())
  if (gateway !== undefined) {
    app.post('/users', onExpress.handle(gateway.createUser))
    app.use('/operations', onExpress.operations(gateway.gateway))
  } else if (bridge !== undefined) {
    app.post('/users', async (request, response) => {
      const { status, location, body } = toAnswer(await bridge.request(request.body, 5000))
      response.status(status).set('location', location).json(body)
    })
  } else app.post('/users', (request, response) => void response.status(201).json({ id: '1', ...request.body }))
  return listen(createServer(app))
}

async function startFetch({ gateway, bridge }: Parts): Promise<number> {
  const byHand = async (request: Request) => {
    const input = (await request.json()) as User
    if (bridge === undefined) return Response.json({ id: '1', ...input }, { status: 201 })
    const { status, location, body } = toAnswer(await bridge.request(input, 5000))
    return Response.json(body, { status, headers: { location } })
  }
  if (gateway === undefined) return listen(createServer(getRequestListener(byHand)))
  onFetch.operations(gateway.gateway)
  const answer = onFetch.handle(gateway.createUser)
  return listen(createServer(getRequestListener((request) => answer(request))))
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function toAnswer(result: EventMessage | undefined): { status: number; location: string; body: unknown } {
  if (result === undefined) return { status: 504, location: '', body: { error: 'timeout' } }
  const body = JSON.parse(Buffer.from(result.body).toString()) as User
  return { status: 201, location: `/users/${body.id}`, body }
}
