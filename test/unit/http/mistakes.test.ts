import { createGateway, type GatewayError, memoryTransport, ok, problem } from 'respond-async'
import * as onExpress from 'respond-async/express'
import * as onFastify from 'respond-async/fastify'
import * as onFetch from 'respond-async/fetch'
import { describe, expect, it } from 'vitest'

const CONFIG = { code: 'ERR_CONFIG' }

describe('typical mistakes', () => {
  it('an adapter refuses what is no command, and no gateway, when the route is made', () => {
    for (const adapter of [onExpress, onFastify, onFetch]) {
      expect(() => adapter.handle(createGateway({ transport: memoryTransport() }) as never)).toThrow(
        expect.objectContaining({ ...CONFIG, message: expect.stringContaining('gateway.command()') }),
      )
    }
    for (const mount of [onExpress.operations, onExpress.problems, onFastify.problems]) {
      for (const gateway of [undefined, {}]) {
        expect(() => mount(gateway as never)).toThrow(
          expect.objectContaining({ ...CONFIG, message: expect.stringContaining('createGateway()') }),
        )
      }
    }
  })

  it('a problem has a status from 400 to 599', () => {
    for (const status of [200, 399, 600, 404.5]) {
      expect(() => problem(status), String(status)).toThrow(expect.objectContaining(CONFIG))
    }
    expect(() => problem({ status: 99 })).toThrow(expect.objectContaining(CONFIG))
    expect(problem(599).state).toBe('failed')
  })

  it('keys cannot be required where none is kept', () => {
    const gateway = createGateway<{ A: object; B: object }>({ transport: memoryTransport(), store: 'none' })
    const command = { publish: 'A', outcomes: { B: ok() }, idempotencyKey: 'required' } as const
    expect(() => gateway.command(command)).toThrow(/idempotencyKey is "required"; allowed is 'optional'/)
  })

  it.each([
    ['no options', null],
    ['a store with one method', { store: { complete: () => {} } }],
    ['a clock with one method', { clock: { monotonic: () => 0 } }],
    ['schemas in a list', { events: [] }],
    ['no schemas', { events: null }],
  ])('%s is refused at once', (_, options) => {
    const given = options === null ? null : { transport: memoryTransport(), ...options }
    expect(() => createGateway(given as never)).toThrow(expect.objectContaining(CONFIG))
  })

  it('an answer that cannot be called is no outcome', () => {
    const gateway = createGateway<{ A: object; B: object }>({ transport: memoryTransport() })
    const outcomes = { B: { state: 'succeeded', answer: 5 } } as never
    expect(() => gateway.command({ publish: 'A', outcomes })).toThrow(expect.objectContaining(CONFIG))
  })

  it('an outcome that was not called is recognised', () => {
    const gateway = createGateway<{ A: object; B: object }>({ transport: memoryTransport() })
    expect(() => gateway.command({ publish: 'A', outcomes: { B: ok as never } })).toThrow(/is it to be called: ok\(\)/)
  })

  it('a closed gateway cannot be started again', async () => {
    const gateway = createGateway({ transport: memoryTransport() })
    await gateway.start()
    await gateway.close()
    await expect(gateway.start()).rejects.toMatchObject({ code: 'ERR_CLOSED', message: expect.stringContaining('new') })
  })

  it('operations that are not served are reported, once', async () => {
    const transport = memoryTransport()
    const gateway = createGateway<{ A: object; B: object }>({ transport, waitMs: 0 })
    const command = gateway.command({ publish: 'A', outcomes: { B: ok() } })
    const errors: GatewayError[] = []
    gateway.on('error', (error) => errors.push(error))
    await gateway.start()
    const reading = { kind: 'shared', group: 'workers' } as const
    const reader = await transport.subscribe({ channel: 'requests', types: ['A'], reading }, async () => 'ack')
    const answer = onFetch.handle(command)
    const post = () => answer(new Request('http://localhost/a', { method: 'POST' }))
    expect((await post()).status).toBe(504)
    expect((await post()).status).toBe(504)
    expect(errors).toMatchObject([{ ...CONFIG, message: expect.stringContaining('operations(gateway)') }])
    await reader.close()
    await gateway.close()
  })

  it('FM-A13 a type that no outcome declares is reported, once, with those that are', async () => {
    const transport = memoryTransport()
    const gateway = createGateway<{ A: object; B: object }>({ transport, waitMs: 20 })
    const command = gateway.command({ publish: 'A', outcomes: { B: ok() } })
    const errors: GatewayError[] = []
    gateway.on('error', (error) => errors.push(error))
    await gateway.start()
    const reading = { kind: 'shared', group: 'workers' } as const
    const reader = await transport.subscribe({ channel: 'requests', types: ['A'], reading }, async (request) => {
      for (const id of ['x', 'y']) await transport.publish({ ...request, id, type: 'Bee' }, { channel: 'results' })
      return 'ack'
    })
    expect(await command.request({})).toMatchObject({ kind: 'accepted', because: 'timeout' })
    expect(errors).toMatchObject([
      { code: 'ERR_UNEXPECTED_RESULT', message: 'Bee is no result of A; there are: A::Failed, B.' },
    ])
    expect(gateway.counters.unexpected).toBe(2)
    await reader.close()
    await gateway.close()
  })
})

interface Shop {
  Ordered: { item: string }
  Shipped: { item: string }
}

async function openShop(options: object = {}, command: object = {}) {
  const transport = memoryTransport()
  const gateway = createGateway<Shop>({ transport, ...options })
  const order = gateway.command({ publish: 'Ordered', outcomes: { Shipped: ok() }, ...command })
  const events: string[] = []
  await gateway.start()
  const reading = { kind: 'shared', group: 'workers' } as const
  const reader = await transport.subscribe({ channel: 'requests', types: ['Ordered'], reading }, async (request) => {
    events.push(request.id)
    if (!Buffer.from(request.body).toString().includes('silent')) {
      await transport.publish({ ...request, id: `r-${request.id}`, type: 'Shipped' }, { channel: 'results' })
    }
    return 'ack'
  })
  const answer = onFetch.handle(order)
  onFetch.operations(gateway)
  const send = (path: string, init: { method?: string; headers?: Record<string, string>; item?: string } = {}) =>
    answer(
      new Request(`http://localhost${path}`, {
        method: init.method ?? 'POST',
        headers: { 'content-type': 'application/json', ...init.headers },
        body: JSON.stringify({ item: init.item ?? 'tea' }),
      }),
    )
  const close = async () => {
    await reader.close()
    await gateway.close({ drainMs: 0 })
  }
  return { send, events, close }
}

describe('what a reviewer broke', () => {
  it('H13 an Idempotency-Key belongs to the method and path where it was sent', async () => {
    const { send, events, close } = await openShop()
    const headers = { 'idempotency-key': '"k"' }
    await send('/a/1', { method: 'PUT', headers })
    expect((await send('/b/2', { headers })).headers.get('idempotent-replayed')).toBeNull()
    expect((await send('/b/2?x=1', { headers })).headers.get('idempotent-replayed')).toBe('true')
    expect(events).toHaveLength(2)
    await close()
  })

  it('B05 wait=0 alone is a gateway time-out where the command says so', async () => {
    const { send, close } = await openShop({}, { onTimeout: 'gateway-timeout' })
    expect((await send('/a', { item: 'silent', headers: { prefer: 'wait=0' } })).status).toBe(504)
    expect((await send('/a', { item: 'silent', headers: { prefer: 'respond-async, wait=0' } })).status).toBe(202)
    await close()
  })

  it('D02 the 202 of the document style names its operation for pollers', async () => {
    const { send, close } = await openShop({ statusStyle: 'document' })
    const reply = await send('/a', { headers: { prefer: 'respond-async' } })
    expect(reply.headers.get('operation-location')).toBe(reply.headers.get('content-location'))
    await close()
  })

  it('a refusal by a hook is named after its status, and a 401 carries a challenge', async () => {
    const refusal = Object.assign(new Error('no'), { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } })
    for (const [thrown, challenge] of [
      [refusal, 'Basic realm="x"'],
      [{ status: 401 }, 'Bearer'],
    ] as const) {
      const principal = () => {
        throw thrown
      }
      const { send, close } = await openShop({ principal })
      const reply = await send('/a')
      expect(reply.headers.get('www-authenticate')).toBe(challenge)
      expect(await reply.json()).toMatchObject({ status: 401, type: expect.stringMatching(/:unauthorized$/) })
      await close()
    }
  })

  it('a principal that is no text is refused', async () => {
    const { send, close } = await openShop({ principal: () => ({ id: 1 }) as never })
    expect((await send('/a')).status).toBe(500)
    await close()
  })
})
