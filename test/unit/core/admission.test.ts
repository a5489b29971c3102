import { describe, expect, it } from 'vitest'
import { createGateway, type Transport } from '../../../src/index.js'
import { memoryTransport } from '../../../src/memory.js'

async function start(maxBodyBytes: number, more: Partial<Transport> = {}) {
  const transport = Object.assign(memoryTransport(), { maxBodyBytes, ...more })
  const gateway = createGateway({ transport })
  const command = gateway.command({ publish: 'A::Asked', outcomes: { 'A::Done': 'succeeded' } })
  await gateway.start()
  await transport.subscribe(
    { channel: 'requests', types: ['A::Asked'], reading: { kind: 'shared', group: 'workers' } },
    async () => 'ack',
  )
  return { gateway, command }
}

describe('a broker with a limit for bodies', () => {
  it('B13 a larger request is refused before anything is written', async () => {
    const { gateway, command } = await start(10)
    await expect(command.request('123456789')).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE', retryable: false })
    expect(gateway.counters).toMatchObject({ created: 0, open: 0, pending: 0 })
    await gateway.close()
  })

  it('counts by the type where the broker takes more of some types', async () => {
    const { gateway, command } = await start(5, { maxBodyBytesOf: () => 10 })
    await expect(command.request('123456789')).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    expect(await command.request('12345678', { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
    await gateway.close({ drainMs: 0 })
  })

  it('one that just fits is taken', async () => {
    const { gateway, command } = await start(10)
    expect(await command.request('12345678', { waitMs: 0 })).toMatchObject({ kind: 'accepted' })
    await gateway.close({ drainMs: 0 })
  })
})
