import type { AddressInfo } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import { handle, operations } from 'respond-async/fastify'
import * as kafka from './hand-kafka.js'
import * as rabbitmq from './hand-rabbitmq.js'
import { load } from './load.js'
import { createOurs, type OurSubject } from './ours.js'
import { createCaller } from './rabbitmq-client.js'
import type { NewUser, Spec, Subject, WorkerSpec } from './spec.js'
import { type OpenStore, openStore } from './stores.js'
import * as onKafka from './worker-kafka.js'
import * as onRabbitmq from './worker-rabbitmq.js'

/** What the process of a gateway is asked: the cost of a round, its CPU time so far in microseconds, or to end. */
export type Question = { readonly inFlight: number; readonly seconds: number } | 'cpu' | 'close'

/** Becomes a gateway; gives the port of its HTTP server, and then answers questions. */
export async function serveGateway(spec: Spec): Promise<{ port: number; answer(question: Question): unknown }> {
  const open = await openStore(spec)
  const subject = await createSubject(spec, open.store)
  const app = fastify({ forceCloseConnections: true })
  mount(app, subject)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return {
    port,
    answer(question) {
      if (question === 'close') return end(app, subject, open)
      if (question !== 'cpu') return load(subject, question)
      const { user, system } = process.cpuUsage()
      return user + system
    },
  }
}

/** Becomes the worker; the returned function ends it. */
export function serveWorker(spec: WorkerSpec): Promise<() => Promise<void>> {
  return (spec.broker === 'rabbitmq' ? onRabbitmq : onKafka).startWorker(spec)
}

async function end(app: FastifyInstance, subject: Subject, open: OpenStore): Promise<string> {
  await app.close()
  await subject.close()
  await open.close()
  return 'closed'
}

async function createSubject(spec: Spec, store: OpenStore['store']): Promise<Subject | OurSubject> {
  if (spec.asker === 'respond-async') return createOurs(spec, store)
  if (spec.asker === 'NestJS') return (await import('./nest.js')).createNest(spec)
  if (spec.asker === 'rabbitmq-client') return createCaller(spec)
  return (spec.broker === 'rabbitmq' ? rabbitmq : kafka).createHandWritten(spec, store)
}

function mount(app: FastifyInstance, subject: Subject | OurSubject): void {
  if ('createUser' in subject) {
    app.register(operations(subject.gateway))
    app.post('/users', handle(subject.createUser))
    return
  }
  app.post('/users', async ({ body }, reply) => {
    const user = await subject.ask(body as NewUser)
    if (user === undefined) return reply.code(504).send({ error: 'timeout' })
    return reply.code(201).header('location', `/users/${user.id}`).send(user)
  })
}
