import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { type AmqpOptions, amqp } from '../../../src/transports/amqp/index.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'

const missing = await whyNoRabbitMq()
const client = new RecordingClient()
const prefix = uniquePrefix()

function at(change: (url: URL) => void): string {
  const url = new URL(AMQP_URL)
  change(url)
  return url.href
}

async function failure(options: AmqpOptions): Promise<{ code?: string; message: string }> {
  const transport = amqp({ prefix, client, ...options })
  try {
    await transport.start()
  } catch (error) {
    return error as Error
  } finally {
    await transport.close()
  }
  throw new Error('it has started')
}

async function listening(server: { listen(port: number, host: string): unknown; address(): unknown }): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server as never, 'listening')
  return (server.address() as { port: number }).port
}

afterAll(() => (missing === undefined ? client.cleanUp() : undefined))

describe.skipIf(missing !== undefined)('a start that cannot succeed', () => {
  it('FM-H27 says that the password is wrong, and does not show it', async () => {
    const { code, message } = await failure({ url: at((url) => Object.assign(url, { password: 'not-this-one' })) })
    expect(code).toBe('ERR_CONFIG')
    expect(message).toMatch(/refuses the user name or the password \(option url\)/)
    expect(message).not.toContain('not-this-one')
  })

  it('says that there is no such virtual host', async () => {
    const { code, message } = await failure({ url: at((url) => Object.assign(url, { pathname: '/nowhere' })) })
    expect(code).toBe('ERR_CONFIG')
    expect(message).toMatch(/does not open its virtual host.*option url/)
  })

  it('says that nobody listens', async () => {
    const server = createServer()
    const port = await listening(server)
    server.close()
    await once(server, 'close')
    const { code, message } = await failure({ url: `amqp://127.0.0.1:${port}` })
    expect(code).toBe('ERR_TRANSPORT_UNAVAILABLE')
    expect(message).toMatch(new RegExp(`127.0.0.1:${port} cannot be reached: .*ECONNREFUSED.*option url`))
  })

  it('says that a host name is unknown', async () => {
    const { code, message } = await failure({ url: 'amqp://no-such-host.invalid' })
    expect(code).toBe('ERR_TRANSPORT_UNAVAILABLE')
    expect(message).toMatch(/no-such-host\.invalid cannot be reached.*option url/)
  })

  it('gives up on a server that says nothing', async () => {
    const sockets = new Set<{ destroy(): void }>()
    const server = createServer((socket) => void sockets.add(socket))
    const port = await listening(server)
    const { code, message } = await failure({ url: `amqp://127.0.0.1:${port}`, connectTimeoutMs: 200 })
    expect(code).toBe('ERR_TRANSPORT_UNAVAILABLE')
    expect(message).toMatch(/option url/)
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  it('says that TLS meets a server without it', async () => {
    const { code, message } = await failure({ url: AMQP_URL.replace('amqp:', 'amqps:') })
    expect(code).toBe('ERR_CONFIG')
    expect(message).toMatch(/TLS with .* fails.*option url/)
  })

  it('says that a certificate is not trusted, or that the server wants TLS', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tls-'))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-x509', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-newkey', 'rsa:2048']
    execFileSync('openssl', ['req', ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) })
    server.on('tlsClientError', () => {})
    const port = await listening(server)
    const untrusted = await failure({ url: `amqps://localhost:${port}`, socket: { host: '127.0.0.1' } })
    expect(untrusted.code).toBe('ERR_CONFIG')
    expect(untrusted.message).toMatch(/TLS with .* fails: .*(self.signed|certificate).*option socket.*option url/)
    const plain = await failure({ url: `amqp://127.0.0.1:${port}` })
    expect(plain.message).toMatch(/option url/)
    server.close()
    rmSync(folder, { recursive: true })
  })

  it('waits for a broker that is away when it is asked to, and ends with a close', async () => {
    const transport = amqp({ url: 'amqp://127.0.0.1:1', client, prefix, waitForBroker: true })
    let ended: unknown
    const starting = transport.start().catch((error: unknown) => {
      ended = error
    })
    await sleep(400)
    expect(ended).toBeUndefined()
    await transport.close()
    await starting
    expect(ended).toBeInstanceOf(Error)
  })

  it('does not wait for a password to become right', async () => {
    const url = at((url) => Object.assign(url, { password: 'wrong' }))
    expect((await failure({ url, waitForBroker: true })).code).toBe('ERR_CONFIG')
  })

  it('says which exchange of somebody else is not there, and does not declare it', async () => {
    const exchange = `${prefix}.elsewhere`
    const { code, message } = await failure({ url: AMQP_URL, results: { exchange } })
    expect(code).toBe('ERR_CONFIG')
    expect(message).toContain(`The exchange "${exchange}" (option results.exchange) does not exist`)
    expect(client.exchanges.has(exchange)).toBe(false)
  })

  it('can be tried again', async () => {
    const transport = amqp({ url: AMQP_URL, client, prefix })
    await transport.start()
    await transport.close()
    await transport.start()
    await transport.check()
    await transport.close()
  })
})
