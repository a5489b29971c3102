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
import { type Answer, assertAnswer, Client, type Expected, type Sent } from './client.js'

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
}

/** What the back end does with a request event. */
export type BackEnd = (data: Readonly<Record<string, unknown>>, request: EventMessage) => Promise<readonly Result[]>

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
  /** What the answer must be that the case comes to. */
  readonly expected?: Expected
}

/** One case: what is special about it, and what is done. */
export interface HttpCase {
  readonly title: string
  readonly given: Given
  readonly run: (world: World) => Promise<void>
}

/** Makes a case; the answer that it comes to is compared with `expected`. */
export function httpCase(title: string, given: Given, run: (world: World) => Promise<Answer | void>): HttpCase {
  const { expected } = given
  if (expected === undefined) return { title, given, run: async (world) => void (await run(world)) }
  return { title, given, run: async (world) => assertAnswer((await run(world)) as Answer, expected) }
}

/** Everything of one case: a served gateway with its back end, and a client. */
export interface World {
  readonly gateway: CoreGateway
  readonly client: Client
  /** The request events that the back end has got. */
  readonly requests: readonly EventMessage[]
  readonly errors: readonly GatewayError[]
  send(sent: Sent): Promise<Answer>
  /** Posts a user. */
  post(headers?: Sent['headers'], body?: unknown): Promise<Answer>
  get(path: string, headers?: Sent['headers']): Promise<Answer>
  /** Posts a user with `Prefer: respond-async`, and gives the URL of its operation. */
  defer(headers?: Sent['headers']): Promise<string>
  /** Publishes an event of the back end for the operation at this URL, and waits until it is there. */
  answer(url: string, result?: Result): Promise<Operation | undefined>
  /** Sets the clock of gateway and store forward. */
  pass(ms: number): void
  close(): Promise<void>
}

const CREATED = 'CreateUser::UserCreated'

const DEFINITION: CommandDefinition<Record<string, never>, string, string> = {
  publish: 'CreateUser::Requested',
  outcomes: {
    [CREATED]: created(({ data }) => `/users/${data['id']}`),
    'CreateUser::UserNotCreated': problem(({ data }) => data['status'] ?? 409),
  },
}

/** A back end that never answers by itself. */
export const SILENT: BackEnd = async () => []

const CREATES: BackEnd = async ({ username }) => [{ data: { id: username } }]

/** A request for a user. */
export function user(headers: Sent['headers'] = {}, body: unknown = { username: 'ann' }): Sent {
  return { method: 'POST', path: '/users', headers, body }
}

/** The id in the URL of an operation. */
export function idOf(url: string): string {
  return url.split('/')[2] ?? ''
}

/** Makes and starts everything of a case. */
export async function createWorld(target: AdapterTarget, given: Given): Promise<World> {
  let skewMs = 0
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + skewMs }
  const transport = memoryTransport({ clock, ...(given.maxQueued !== undefined && { maxQueued: given.maxQueued }) })
  const gateway = createGateway(given, { transport, store: memoryStore({ clock }), clock, waitMs: 2000 })
  const errors: GatewayError[] = []
  gateway.on('error', (error) => errors.push(error))
  const command = gateway.command({ ...DEFINITION, ...given.command } as never) as Command
  const requests = await startBackEnd(transport, given.backEnd ?? CREATES)
  await gateway.start()
  const { operations = true, headers = {}, routes = [{ method: 'ALL', path: '/users' }] } = given
  const server = await target.start({ gateway, operations, headers, routes: routes.map((route) => ({ ...route, command })) })
  const client = new Client(server.url)
  return {
    ...{ gateway, client, requests, errors },
    ...requesting(client),
    async answer(url, result = {}) {
      const operation = await gateway.operations.get(idOf(url))
      await publish(transport, idOf(url), result)
      return gateway.operations.wait(idOf(url), { waitMs: 1000, seenVersion: operation?.version })
    },
    pass: (ms) => {
      skewMs += ms
    },
    async close() {
      client.close()
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

async function startBackEnd(transport: Transport, backEnd: BackEnd): Promise<readonly EventMessage[]> {
  await transport.start()
  const requests: EventMessage[] = []
  const reading = { kind: 'shared', group: 'workers', concurrency: 100 } as const
  const subscription = { channel: 'requests', types: ['CreateUser::Requested'], reading } as const
  await transport.subscribe(subscription, async (request) => {
    requests.push(request)
    const results = await backEnd((parseData(request) ?? {}) as Readonly<Record<string, unknown>>, request)
    for (const result of results) await publish(transport, request.correlationId ?? '', result)
    return 'ack' as const
  })
  return requests
}

async function publish(transport: Transport, correlationId: string, { type = CREATED, data, body }: Result): Promise<void> {
  const init = { type, data, correlationId, source: 'worker', ...(body !== undefined && { body: Buffer.from(body) }) }
  await transport.publish(toMessage(init, systemClock), { channel: 'results' })
}

function requesting(client: Client): Pick<World, 'send' | 'post' | 'get' | 'defer'> {
  return {
    send: (sent) => client.send(sent),
    post: (headers, body) => client.send(user(headers, body)),
    get: (path, headers = {}) => client.send({ path, headers }),
    async defer(headers = {}) {
      const { status, headers: answered, text } = await client.send(user({ prefer: 'respond-async', ...headers }))
      if (status !== 202) throw new Error(`not deferred: ${status} ${text}`)
      return String(answered['content-location'])
    },
  }
}
