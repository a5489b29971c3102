import {
  created,
  createGateway,
  type Gateway,
  type GatewayOptions,
  type HttpReply,
  type HttpRequest,
  memoryTransport,
  noContent,
  ok,
  problem,
  type Store,
  seeOther,
} from 'respond-async'
import type { Command } from '../../../src/core/command.js'
import type { GatewayError } from '../../../src/core/errors.js'
import { type EventInit, type EventMessage, toMessage } from '../../../src/core/event.js'
import { handleCommand } from '../../../src/http/handler.js'
import { handleOperations, mountOperations } from '../../../src/http/operations.js'
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js'
import { type FaultPlan, faultyTransport } from '../../../src/testing/faulty.js'

export interface ServiceOptions {
  readonly options?: Partial<Omit<GatewayOptions, 'store'>>
  readonly store?: Store | 'none'
  readonly command?: object
  /** What happens on the gateway's way to the transport. */
  readonly transportFaults?: FaultPlan
  readonly clock?: FakeClock
  /** False where operations are not served. */
  readonly isMounted?: boolean
  readonly worker?: (request: EventMessage, service: Service) => unknown
}

export interface Service {
  readonly clock: FakeClock
  readonly gateway: Gateway<Record<string, unknown>>
  readonly command: Command
  readonly requests: EventMessage[]
  readonly errors: GatewayError[]
  post(body?: unknown, more?: Partial<HttpRequest>): Promise<HttpReply>
  visit(path: string, more?: Partial<HttpRequest>): Promise<HttpReply>
  answer(type: string, more?: Partial<EventInit>): Promise<void>
}

const OUTCOMES = {
  Made: created((event) => `/things/${(event.data as { id: string }).id}`),
  Found: ok(),
  Deleted: noContent(),
  Known: seeOther(() => '/things/1'),
  'Make::ThingRefused': problem(409),
}

/** A gateway that is asked without a framework, with a worker that waits to be told. */
export async function openService(init: ServiceOptions = {}): Promise<Service> {
  const clock = init.clock ?? createFakeClock()
  const transport = memoryTransport({ clock })
  const faults = init.transportFaults
  const ours = faults === undefined ? transport : faultyTransport(transport, faults)
  const options = {
    clock,
    transport: ours,
    ...(init.store && { store: init.store }),
    ...init.options,
  } as GatewayOptions
  const gateway = createGateway(options as GatewayOptions & { events?: undefined })
  const command = gateway.command({ publish: 'Make', outcomes: OUTCOMES, ...init.command }) as unknown as Command
  if (init.isMounted !== false) mountOperations(gateway)
  const service: Service = {
    ...{ clock, gateway, command, requests: [], errors: [] },
    post: (body, more = {}) => handleCommand(command, requestOf({ body, ...more })),
    visit: (url, more = {}) => handleOperations(gateway, requestOf({ method: 'GET', url, ...more })),
    async answer(type, more = {}) {
      const correlationId = service.requests.at(-1)?.correlationId
      const message = toMessage({ type, source: 'worker', correlationId, data: { id: 'a' }, ...more }, clock)
      await transport.publish(message, { channel: 'results' })
      await clock.flush()
    },
  }
  gateway.on('error', (error) => service.errors.push(error))
  await transport.start()
  const reading = { kind: 'shared', group: 'worker' } as const
  await transport.subscribe({ channel: 'requests', types: ['Make'], reading }, async (request) => {
    service.requests.push(request)
    await init.worker?.(request, service)
    return 'ack'
  })
  await gateway.start()
  return service
}

export function requestOf(more: Partial<HttpRequest> & { body?: unknown } = {}): HttpRequest {
  const { body, headers, ...others } = more
  const typed = body === undefined ? {} : { 'content-type': 'application/json' }
  const request = { method: 'POST', url: '/things', params: {}, headers: { ...typed, ...headers }, ...others }
  return body === undefined ? request : { ...request, body }
}

export function jsonOf({ body }: HttpReply): Record<string, unknown> {
  return JSON.parse(Buffer.from(body ?? '').toString())
}

/** A request that is answered 202, and the path of its operation. */
export async function accept(service: Service): Promise<string> {
  const reply = await service.post({}, { headers: { prefer: 'respond-async' } })
  await service.clock.flush()
  return String(reply.headers['content-location'])
}
