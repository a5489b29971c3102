import { createGateway, type GatewayError, memoryStore, memoryTransport, type Transport } from 'respond-async'
import { createFakeClock, faultyTransport } from 'respond-async/testing'
import { afterEach, describe, expect, it } from 'vitest'

interface Events {
  Asked: object
  Answered: object
}

const closers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

function gatewayOn(transport: Transport, options: object = {}) {
  const gateway = createGateway<Events>({ transport, ...options })
  const ask = gateway.command({ publish: 'Asked', outcomes: { Answered: 'succeeded' } })
  closers.push(() => gateway.close({ drainMs: 0 }))
  return { gateway, ask }
}

async function work(transport: ReturnType<typeof memoryTransport>) {
  await transport.start()
  const reading = { kind: 'shared', group: 'workers' } as const
  const reader = await transport.subscribe({ channel: 'requests', types: ['Asked'], reading }, async (request) => {
    await transport.publish({ ...request, id: `r-${request.id}`, type: 'Answered' }, { channel: 'results' })
    return 'ack'
  })
  closers.push(async () => {
    await reader.close()
    await transport.close()
  })
}

describe('parts that gateways share', () => {
  it('a gateway whose start failed leaves the store to the others', async () => {
    const transport = memoryTransport()
    const store = memoryStore()
    const healthy = gatewayOn(transport, { store })
    await healthy.gateway.start()
    await work(transport)
    const broken = gatewayOn(
      faultyTransport(transport, (call) => (call === 'start' ? 'fail-before' : 'ok')),
      { store },
    )
    await expect(broken.gateway.start()).rejects.toThrow()
    await broken.gateway.close()
    expect(await healthy.ask.request({})).toMatchObject({ kind: 'completed' })
  })

  it('a start that failed can be tried again', async () => {
    let failures = 1
    const transport = memoryTransport()
    const plan = (call: string) => (call === 'start' && failures-- > 0 ? 'fail-before' : 'ok')
    const { gateway, ask } = gatewayOn(faultyTransport(transport, plan))
    await work(transport)
    await expect(gateway.start()).rejects.toThrow()
    await gateway.start()
    expect(await ask.request({})).toMatchObject({ kind: 'completed' })
  })

  it('two gateways with stores of their own on one broker do not take each other’s results', async () => {
    const transport = memoryTransport()
    await work(transport)
    const both = [gatewayOn(transport), gatewayOn(transport)]
    for (const { gateway } of both) await gateway.start()
    const replies = await Promise.all(both.flatMap(({ ask }) => [1, 2, 3].map(() => ask.request({}, { waitMs: 0 }))))
    for (const [at, { operation }] of replies.entries()) {
      const { gateway } = both[at < 3 ? 0 : 1] as (typeof both)[number]
      expect(await gateway.operations.wait(operation.id)).toMatchObject({ state: 'succeeded' })
    }
    expect(both.map(({ gateway }) => gateway.counters.orphan)).toEqual([0, 0])
  })

  it('orphans are kept within bounds, and what cannot be kept is settled all the same', async () => {
    const clock = createFakeClock()
    const transport = memoryTransport({ clock, maxQueued: 50 })
    const store = memoryStore({ clock, maxRecords: 3 })
    const { gateway } = gatewayOn(transport, { clock, store })
    const errors: GatewayError[] = []
    gateway.on('error', (error) => errors.push(error))
    await gateway.start()
    for (let at = 0; at < 100; at += 1) {
      const orphan = {
        id: `o${at}`,
        type: 'Answered',
        source: 's',
        time: 1,
        correlationId: `unknown-${at}`,
        headers: {},
      }
      await transport.publish(
        { ...orphan, contentType: 'application/json', body: Buffer.from('{}') },
        { channel: 'results' },
      )
      await clock.advance(100)
    }
    await clock.advance(5000)
    expect(gateway.counters.orphan).toBe(100)
    expect(await store.records.list('orphan/')).toHaveLength(3)
    expect(errors[0]).toMatchObject({ code: 'ERR_STORE_FULL' })
  })
})
