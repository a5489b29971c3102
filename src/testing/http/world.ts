import { Agent } from 'node:http'
import { type Clock, systemClock } from '../../core/clock.js'
import type { Command, GatewayContext } from '../../core/command.js'
import type { CommandDefinition } from '../../core/definition.js'
import type { GatewayError } from '../../core/errors.js'
import { type EventMessage, parseData, toMessage } from '../../core/event.js'
import { CoreGateway } from '../../core/gateway.js'
import type { Operation } from '../../core/operation.js'
import type { CoreOptions } from '../../core/options.js'
import type { SchemaMap } from '../../core/schema.js'
import type { Transport } from '../../core/transport.js'
import { created, problem } from '../../http/outcomes.js'
import { createHttpExtension, type HttpCommandOptions, type HttpOptions } from '../../http/settings.js'
import { memoryStore } from '../../stores/memory/index.js'
import { memoryTransport } from '../../transports/memory/index.js'
import { faultyStore } from '../faulty.js'
import { Exchange, type Sent, writeRaw } from './client.js'

/** A route that the target serves with its framework. */
export interface ContractRoute {
  /** `ALL` stands for every method. */
  readonly method: 'ALL' | 'POST'
  /** Parameters are written `:name`. */
  readonly path: string
  readonly command: Command
  /** When there, the route is a handler of the target's own, which calls the adapter's `respond` with these data. */
  readonly respond?: { readonly data: unknown }
}

/** What the target serves. */
export interface ContractSetup {
  readonly gateway: GatewayContext & { close(): Promise<void> }
  readonly routes: readonly ContractRoute[]
  /** Whether the adapter's `operations` are mounted, at `/operations`. */
  readonly operations: boolean
  /** Headers that something in front of the adapter has set on the answer. */
  readonly headers: Readonly<Record<string, string>>
}

/** An adapter on its framework. */
export interface AdapterTarget {
  readonly name: string
  /** Serves the setup on a port of the loopback interface. */
  start(setup: ContractSetup): Promise<{ readonly url: string; close(): Promise<void> }>
}

/** A result event; its body is `data` as JSON, unless there is a `body`. */
export interface Result {
  /** @default 'CreateUser::UserCreated' */
  readonly type?: string
  readonly data?: unknown
  readonly body?: string
  readonly contentType?: string
}

/** What the back end does with a request event. */
export type BackEnd = (data: Readonly<Record<string, unknown>>) => Promise<readonly Result[]>

/** What is special about a case. */
export interface Given {
  readonly options?: Partial<CoreOptions & HttpOptions & { readonly events: SchemaMap }>
  readonly command?: Partial<CommandDefinition<Record<string, unknown>, string, string> & HttpCommandOptions<unknown>>
  /** @default every method of `/users` */
  readonly routes?: readonly Omit<ContractRoute, 'command'>[]
  /** @default true */
  readonly operations?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** How many messages the broker takes. */
  readonly maxQueued?: number
  /** @default every user is created at once */
  readonly backEnd?: BackEnd
}

/** One case: what is special about it, and what is done and checked. */
export interface HttpCase {
  readonly title: string
  readonly given: Given
  readonly run: (world: World) => Promise<unknown>
}

/** Everything of one case: a served gateway with its back end, and a client. */
export interface World {
  readonly gateway: CoreGateway
  /** The request events that the back end has got. */
  readonly requests: readonly EventMessage[]
  /** What the gateway has reported. */
  readonly errors: readonly GatewayError[]
  /** The methods of the store that were called, in their order. */
  readonly storeCalls: readonly string[]
  send(sent: Sent): Exchange
  /** Posts a user. */
  post(headers?: Sent['headers'], body?: unknown): Exchange
  get(path: string, headers?: Sent['headers']): Exchange
  raw(parts: readonly string[], options?: { readonly pauseMs?: number; readonly leave?: boolean }): Promise<string>
  /** Posts a user with `Prefer: respond-async`, and gives the URL of its operation. */
  defer(headers?: Sent['headers']): Promise<string>
  /** Publishes an event of the back end for the operation at this URL, and waits until it is there. */
  answer(url: string, result?: Result): Promise<Operation | undefined>
  /** Sets the clock of gateway and store forward. */
  pass(ms: number): void
  close(): Promise<void>
}

/** The result with which users are created. */
export const CREATED = 'CreateUser::UserCreated'
/** The user exists already. */
export const NOT_CREATED = 'CreateUser::UserNotCreated'

/** The back end never answers by itself. */
export const PENDING: Given = { backEnd: async () => [] }

const DEFINITION: CommandDefinition<Record<string, never>, string, string> = {
  publish: 'CreateUser::Requested',
  outcomes: {
    [CREATED]: created(({ data }) => `/users/${data['id']}`),
    [NOT_CREATED]: problem(({ data }) => data['status'] ?? 409),
  },
}

/** Makes a case. */
export function check(title: string, given: Given, run: HttpCase['run']): HttpCase {
  return { title, given, run }
}

/** Makes and starts everything of a case. */
export async function createWorld(target: AdapterTarget, given: Given): Promise<World> {
  let skewMs = 0
  // Without a watch on the event loop: whether this machine is busy is no part of a case.
  const { watchLoop: _, ...steady } = systemClock
  const clock: Clock = { ...steady, now: () => systemClock.now() + skewMs }
  const transport = memoryTransport({ clock, ...(given.maxQueued !== undefined && { maxQueued: given.maxQueued }) })
  const storeCalls: string[] = []
  const store = faultyStore(memoryStore({ clock }), (call) => {
    storeCalls.push(call)
    return 'ok'
  })
  const gateway = createGateway(given, { transport, store, clock, waitMs: 2000 })
  const errors: GatewayError[] = []
  gateway.on('error', (error) => errors.push(error))
  const command = gateway.command({ ...DEFINITION, ...given.command } as never) as Command
  const requests = await startBackEnd(transport, given)
  await gateway.start()
  const { operations = true, headers = {}, routes = [{ method: 'ALL', path: '/users' }] } = given
  const server = await target.start({
    gateway,
    operations,
    headers,
    routes: routes.map((route) => ({ ...route, command })),
  })
  const agent = new Agent({ keepAlive: true })
  return {
    ...{ gateway, requests, errors, storeCalls },
    ...requesting(agent, server.url),
    async answer(url, result = { data: { id: 'ann' } }) {
      const id = url.slice('/operations/'.length)
      const seenVersion = (await gateway.operations.get(id))?.version
      await publish(transport, id, result)
      return gateway.operations.wait(id, { waitMs: 1000, seenVersion })
    },
    pass: (ms) => {
      skewMs += ms
    },
    async close() {
      agent.destroy()
      await gateway.close({ drainMs: 0 })
      await server.close()
      await transport.close()
    },
  }
}

function createGateway({ options = {} }: Given, defaults: CoreOptions): CoreGateway {
  const { events = {}, ...all } = { ...defaults, ...options }
  const defaultStore = ({ clock }: { readonly clock: Clock }) => memoryStore({ clock })
  return new CoreGateway({ options: all, events, defaultStore, extension: createHttpExtension(all) })
}

async function startBackEnd(transport: Transport, { backEnd }: Given): Promise<readonly EventMessage[]> {
  await transport.start()
  const requests: EventMessage[] = []
  const reading = { kind: 'shared', group: 'workers', concurrency: 100 } as const
  await transport.subscribe({ channel: 'requests', types: ['CreateUser::Requested'], reading }, async (request) => {
    requests.push(request)
    const data = (parseData(request) ?? {}) as Readonly<Record<string, unknown>>
    const results = backEnd ? await backEnd(data) : [{ data: { id: data['username'] } }]
    for (const result of results) await publish(transport, request.correlationId ?? '', result)
    return 'ack' as const
  })
  return requests
}

async function publish(
  transport: Transport,
  correlationId: string,
  { type = CREATED, data, body, contentType }: Result,
): Promise<void> {
  const bytes = body !== undefined && { body: Buffer.from(body) }
  const init = { type, data, contentType, correlationId, source: 'worker', ...bytes }
  await transport.publish(toMessage(init, systemClock), { channel: 'results' })
}

function requesting(agent: Agent, url: string): Pick<World, 'send' | 'post' | 'get' | 'raw' | 'defer'> {
  const send = (sent: Sent) => new Exchange(agent, url, sent)
  const post: World['post'] = (headers = {}, body = { username: 'ann' }) =>
    send({ method: 'POST', path: '/users', headers, body })
  return {
    send,
    post,
    get: (path, headers = {}) => send({ path, headers }),
    raw: (parts, options) => writeRaw(url, parts, options),
    async defer(headers) {
      return String((await post({ prefer: 'respond-async', ...headers }).is(202)).headers['content-location'])
    },
  }
}
