import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ChaosProxy } from '../../support/chaos-proxy.js'
import { until } from '../../support/servers/until.js'

let server: Server
let proxy: ChaosProxy
let served: Socket[]
const clients: Socket[] = []

beforeEach(async () => {
  served = []
  server = createServer({ allowHalfOpen: true }, (socket) => {
    served.push(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes) => socket.write(bytes))
    socket.on('end', () => socket.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await ChaosProxy.to({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await proxy.close()
  for (const socket of served) socket.destroy()
  server.close()
})

/** A client of the echo server behind the proxy. */
async function client() {
  const socket = connect({ host: '127.0.0.1', port: proxy.port })
  clients.push(socket)
  let got = ''
  const seen: { error?: string | undefined } = {}
  socket.on('data', (bytes) => (got += bytes))
  socket.on('error', (error: NodeJS.ErrnoException) => (seen.error = error.code))
  await once(socket, 'connect')
  await until(() => served.length > 0, { what: 'the connection', timeoutMs: 2000, everyMs: 1 })
  const gets = (text: string) =>
    until(() => got === text, { what: `${text} instead of ${got}`, timeoutMs: 5000, everyMs: 1 })
  return { socket, seen, gets, got: () => got }
}

/** Unlike `once`, this does not reject for the error that comes before. */
const closed = (socket: Socket | undefined) => new Promise<void>((resolve) => socket?.once('close', () => resolve()))
const quiet = (ms = 30) => new Promise((resolve) => setTimeout(resolve, ms))

describe('ChaosProxy', () => {
  it('passes everything both ways, and ends in good order', async () => {
    const { socket, gets } = await client()
    const text = 'x'.repeat(1_000_000)
    socket.write(text)
    await gets(text)
    const end = closed(socket)
    socket.end('bye')
    await end
    await gets(`${text}bye`)
    await until(() => proxy.size === 0, { what: 'the end of the connection', timeoutMs: 2000 })
  })

  it.each(['up', 'down', 'both'] as const)(
    'holds what is sent %s a silent line, and passes it when healed',
    async (way) => {
      const { socket, gets, got, seen } = await client()
      let arrived = 0
      served[0]?.on('data', (bytes) => (arrived += bytes.length))
      proxy.set({ silent: true }, way)
      socket.write('hello')
      await quiet()
      expect(got()).toBe('')
      expect(arrived).toBe(way === 'down' ? 5 : 0)
      await proxy.heal()
      await gets('hello')
      expect(seen.error).toBeUndefined()
    },
  )

  it('connects clients of a silent line, and tells them nothing', async () => {
    proxy.set({ silent: true })
    const socket = connect({ host: '127.0.0.1', port: proxy.port })
    clients.push(socket)
    await once(socket, 'connect')
    let got = ''
    socket.on('data', (bytes) => (got += bytes))
    socket.write('late')
    await quiet()
    expect(got).toBe('')
    await proxy.heal()
    await until(() => got === 'late', { what: 'what was sent meanwhile', timeoutMs: 2000 })
  })

  it('resets connections on both sides, and takes new ones', async () => {
    const { socket, seen } = await client()
    const ends = [socket, served[0]].map(closed)
    proxy.reset()
    await Promise.all(ends)
    expect(seen.error).toBe('ECONNRESET')
    const next = await client()
    next.socket.write('again')
    await next.gets('again')
  })

  it('refuses, and takes connections on the same port when healed', async () => {
    const { socket, seen } = await client()
    const end = closed(socket)
    await proxy.refuse()
    await end
    expect(seen.error).toBe('ECONNRESET')
    const refused = connect({ host: '127.0.0.1', port: proxy.port })
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNREFUSED')
    await proxy.heal()
    const next = await client()
    next.socket.write('again')
    await next.gets('again')
  })

  it('tells whoever is left when a silent line is healed, and not before', async () => {
    const { socket } = await client()
    proxy.set({ silent: true })
    socket.resetAndDestroy()
    await quiet()
    expect(served[0]?.destroyed).toBe(false)
    const end = closed(served[0])
    await proxy.heal()
    await end
  })

  it('delays each way by its latency, in order', async () => {
    const { socket, gets } = await client()
    proxy.set({ latencyMs: 40 }, 'both')
    const start = performance.now()
    socket.write('a')
    setTimeout(() => socket.write('b'), 20)
    await gets('a')
    expect(performance.now() - start).toBeGreaterThanOrEqual(78)
    await gets('ab')
    expect(performance.now() - start).toBeGreaterThanOrEqual(98)
  })

  it('passes no more bytes in a second than its line has', async () => {
    const { socket, gets } = await client()
    proxy.set({ bytesPerSecond: 10_000 }, 'up')
    const start = performance.now()
    socket.write('x'.repeat(2000))
    await gets('x'.repeat(2000))
    // The last piece goes out when the one before it has passed: 150 ms for four pieces of 50 ms.
    expect(performance.now() - start).toBeGreaterThanOrEqual(145)
  })

  it('a line that becomes fast passes at once what a slow one held', async () => {
    const { socket, gets } = await client()
    proxy.set({ latencyMs: 60_000, bytesPerSecond: 1 })
    socket.write('slow')
    await quiet()
    await proxy.heal()
    await gets('slow')
  })

  it('leaves the client alone when the server is lost', async () => {
    const { socket, seen, got } = await client()
    const lost = closed(served[0])
    proxy.halfOpen('server')
    await lost
    socket.write('anybody?')
    await quiet()
    expect([socket.destroyed, seen.error, got()]).toEqual([false, undefined, ''])
  })

  it('leaves the server alone when the client is lost', async () => {
    const { socket, seen } = await client()
    const end = closed(socket)
    proxy.halfOpen('clients')
    await end
    await quiet()
    expect(seen.error).toBe('ECONNRESET')
    expect(served[0]?.destroyed).toBe(false)
  })
})
