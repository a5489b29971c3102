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
    expect(() => onExpress.operations({} as never)).toThrow(
      expect.objectContaining({ ...CONFIG, message: expect.stringContaining('createGateway()') }),
    )
  })

  it('a problem has a status from 400 to 599', () => {
    for (const status of [200, 399, 600, 404.5]) {
      expect(() => problem(status), String(status)).toThrow(expect.objectContaining(CONFIG))
    }
    expect(() => problem({ status: 99 })).toThrow(expect.objectContaining(CONFIG))
    expect(problem(599).state).toBe('failed')
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
